"""One request inside the engine: everything that is its own while it shares a batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from serve_app.edits.request import DEFAULT_PRIORITY, LoraUse
from serve_app.engine.kept_region import KeptRegion
from serve_app.engine.policy import Work
from serve_app.images.masks import Editable
from serve_app.images.pixels import RGB

ImageShape = tuple[int, int, int]
"""Frames, height and width in packed latent tokens."""


class CompatibilityKey(NamedTuple):
    """Requests may share a forward only if all of this agrees.

    ``QwenEmbedRope`` lays out the first row's shapes for the whole batch, so the output
    and every reference must have equal sizes in equal order.
    """

    img_shapes: tuple[ImageShape, ...]
    dtype: torch.dtype
    adapter: LoraUse | None = None
    few_step: bool = False

    @property
    def tokens(self) -> int:
        """Image tokens of one row: what its cost and its memory grow with."""
        return sum(frames * height * width for frames, height, width in self.img_shapes)


@dataclass(frozen=True, slots=True)
class CanvasTask:
    """An edit on its working canvas, ready for the device.

    ``references`` are (height, width, 3) uint8 with sides that are canvas multiples,
    ``conditions`` the copies shown to the text encoder, ``width`` and ``height`` the size
    of the output canvas. ``mask`` (height, width) lies on the output canvas, which then is the
    first reference's. ``few_step`` makes it a draft.
    """

    references: tuple[RGB, ...]
    conditions: tuple[RGB, ...]
    width: int
    height: int
    prompt: str
    negative_prompt: str
    true_cfg_scale: float
    num_inference_steps: int
    seed: int
    partial_images: int = 0
    mask: Editable | None = None
    lora: LoraUse | None = None
    few_step: bool = False
    priority: int = DEFAULT_PRIORITY
    tenant: str = ""

    @property
    def guided(self) -> bool:
        """Classifier-free guidance needs a second row only above a scale of one."""
        return self.true_cfg_scale > 1.0


@dataclass(slots=True)
class CanvasResult:
    """Pixels of the output canvas, the last latents, and the time of each stage."""

    pixels: RGB
    finite: bool
    latents: torch.Tensor
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class CanvasStep:
    """``step`` of ``total`` is done; ``batch_size`` requests shared it."""

    step: int
    total: int
    batch_size: int
    eta_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CanvasPreview:
    """Pixels of the output canvas that a running edit is heading for."""

    pixels: RGB


@dataclass(frozen=True, slots=True)
class CanvasQueued:
    """A request that waits, with so many ahead of it."""

    position: int
    eta_s: float | None


CanvasEvent = CanvasStep | CanvasPreview | CanvasQueued

Listener = Callable[[CanvasEvent], object]
"""Called on the engine's threads: it must return at once and not raise."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A submitted task. Cancelling its future withdraws it at the next step.

    ``deadline_s`` is how long from now the result is of use, seconds. ``key`` and ``work`` are
    set when the device loop takes the ticket. What is logged of it belongs to ``context``, in
    which it was submitted.
    """

    task: CanvasTask
    listener: Listener | None
    deadline_s: float | None = None
    future: Future[CanvasResult] = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)
    position: int | None = None
    held: bool = False
    context: Context = field(default_factory=copy_context, repr=False)
    key: CompatibilityKey = field(init=False, repr=False)
    work: Work = field(init=False, repr=False)

    def tell(self, event: CanvasEvent) -> None:
        """Tell the listener, if there is one."""
        if self.listener is not None:
            self.listener(event)


@dataclass(eq=False, slots=True)
class DenoisingState:
    """The tensors of one request, on the device.

    ``latents`` (1, tokens, channels) change with every step; ``references`` (1, reference
    tokens, channels) don't. ``positive`` and ``negative`` are embeddings (1, length, width);
    ``negative`` is ``None`` without guidance. The scheduler is this request's alone, since
    it keeps its step index inside.
    """

    ticket: Ticket
    key: CompatibilityKey
    latents: torch.Tensor
    references: torch.Tensor
    positive: torch.Tensor
    negative: torch.Tensor | None
    scheduler: Any
    timesteps: torch.Tensor
    preview_steps: tuple[int, ...]
    kept: KeptRegion | None = None
    step: int = 0
    velocity: torch.Tensor | None = None

    @property
    def done(self) -> bool:
        return self.step >= len(self.timesteps)

    @property
    def remaining_steps(self) -> int:
        return len(self.timesteps) - self.step
