"""What an editor is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from serve_app.edits.request import DEFAULT_PRIORITY, LoraUse, OutputSize
from serve_app.images.masks import Editable
from serve_app.images.pixels import RGB


@dataclass(frozen=True, slots=True)
class EditJob:
    """One attempt at one edit, with every parameter decided.

    ``images`` are one to four arrays (height, width, 3) uint8, the first being the one
    that is edited. ``seed`` is 0 to 2**63 - 1. Guidance is on where ``true_cfg_scale`` is
    above 1. ``partial_images`` (0 to 3) previews are sent to those who stream. ``mask``
    (height, width) has the first image's size. ``few_step`` makes it a draft, with the model's
    few-step adapter and schedule; ``lora`` comes on top. ``deadline_s`` is what is left of the
    caller's patience, seconds. ``tenant`` names whom the device's time is charged to.
    ``subject_id`` is the content id of the first image: edits of one image are sent to the
    same replica, which has it encoded.
    """

    images: tuple[RGB, ...]
    prompt: str
    negative_prompt: str
    true_cfg_scale: float
    num_inference_steps: int
    seed: int
    size: OutputSize = "auto"
    partial_images: int = 0
    mask: Editable | None = None
    lora: LoraUse | None = None
    few_step: bool = False
    priority: int = DEFAULT_PRIORITY
    deadline_s: float | None = None
    tenant: str = ""
    subject_id: str = ""


@dataclass(frozen=True, slots=True)
class Queued:
    """``position`` requests are ahead of this one; ``eta_s`` seconds until it is done.

    Sent while it waits, whenever the position changes. The estimate is ``None`` before the
    device has measured anything.
    """

    position: int
    eta_s: float | None
    kind: Literal["queued"] = "queued"


@dataclass(frozen=True, slots=True)
class StepDone:
    """``step`` (from 1) of ``total`` is done; ``batch_size`` requests shared it.

    ``eta_s`` is the estimate of the seconds until the image is finished.
    """

    step: int
    total: int
    batch_size: int
    eta_s: float | None = None
    kind: Literal["step"] = "step"


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """What the latents look like now: pixels (height, width, 3) of the result's size."""

    index: int
    pixels: RGB
    kind: Literal["preview"] = "preview"


@dataclass(frozen=True, slots=True, eq=False)
class EditedImage:
    """Pixels (height, width, 3) of the requested size.

    ``finite`` is false if the decoder produced NaN or infinity, which turn into flat
    pixels. ``seconds`` holds the time of each stage: queue, encode, denoise, decode.
    """

    pixels: RGB
    finite: bool
    seconds: dict[str, float] = field(default_factory=dict)
    kind: Literal["edited"] = "edited"


EditorEvent = Queued | StepDone | Preview | EditedImage
