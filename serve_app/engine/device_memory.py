"""What edits take of the device's memory beside the weights, estimated before they run.

The estimates are coarse on purpose: they keep edits out that can't fit, and newcomers
waiting while there is no room. Where they are wrong the device says so, and what failed once
is not tried again.
"""

from __future__ import annotations

import threading
import time

import torch

from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasTask, CompatibilityKey
from serve_app.errors import EditTooLarge

_STEP_VALUES = 44
"""Values that a step holds for each token, as multiples of the transformer's width: 2.3 GB at
8,500 tokens of width 3072 in bfloat16, which is what vLLM-Omni publishes for an edit at
1024x1024 (61.1 GB at the peak, 58.8 GB at rest). Of one forward's own peak it is an upper
bound, since the decoder's is part of it."""

_DECODE_VALUES = 12
"""Values that decoding holds for each pixel, as multiples of the decoder's width; likewise."""

_RESERVE = 0.9
"""Share of what is free after loading that edits may use; the rest is fragments."""

_FORGOTTEN_AFTER_S = 600.0
"""What failed may have met a bad moment: it is tried again after so long."""

_SHORTAGES = ("can't allocate memory", "out of memory", "alloc_failed")
"""What errors of torch say that have no type of their own: the CPU's, cuBLAS's, cuDNN's, MPS's."""

_PROMPT_TOKENS = 512
"""Text tokens of a usual prompt with its images."""


class _Failed:
    """The least number of tokens that did not fit, until that is long ago."""

    def __init__(self) -> None:
        self._least: tuple[int, float] | None = None

    def note(self, tokens: int) -> None:
        least = tokens if self._least is None else min(tokens, self._least[0])
        self._least = (least, time.monotonic())

    @property
    def least(self) -> int | None:
        noted = self._least  # once: another thread may note one
        if noted is None or time.monotonic() - noted[1] > _FORGOTTEN_AFTER_S:
            return None
        return noted[0]

    def includes(self, tokens: int) -> bool:
        least = self.least
        return least is not None and tokens >= least


class DeviceMemory:
    """Admits edits by their estimated bytes; every method may be called from any thread."""

    def __init__(
        self, checkpoint: Checkpoint, budget: int | None = None, set_aside: int = 0
    ) -> None:
        """``budget`` in bytes; by default what is free on a GPU but for ``set_aside``.

        Elsewhere there is no limit by default.
        """
        self._checkpoint = checkpoint
        self._budget = _free_bytes(checkpoint, set_aside) if budget is None else budget
        self._held = 0
        self._together = _Failed()
        self._alone = _Failed()
        self._lock = threading.Lock()

    @property
    def largest_step(self) -> int | None:
        """Tokens of all rows from which a step has failed lately; ``None`` if none has."""
        return self._together.least

    def check(self, task: CanvasTask, key: CompatibilityKey) -> None:
        """Raise ``EditTooLarge`` if the edit would not fit even alone."""
        over_budget = self._budget is not None and self._peak(task, key) > self._budget
        if over_budget or self._alone.includes(key.tokens):
            raise EditTooLarge(self.too_large(task))

    def too_large(self, task: CanvasTask) -> str:
        """What to tell the user of an edit that doesn't fit."""
        inputs = "1 image" if len(task.references) == 1 else f"{len(task.references)} images"
        return (
            f"An edit of {inputs} at {task.width}x{task.height} does not fit into the memory of "
            "this editor's device. Send fewer images, or a smaller `size`."
        )

    def fits(self, tokens: int, rows: int) -> bool:
        """Whether a step of ``rows`` rows fits beside what is held."""
        if self._together.includes(tokens * rows):
            return False
        return self._budget is None or self._held + self._step(tokens * rows) <= self._budget

    def has_room(self, task: CanvasTask, key: CompatibilityKey) -> bool:
        """Whether an edit fits beside those that are held; the first always does."""
        if self._budget is None or not self._held:
            return True
        return self._held + self._peak(task, key) <= self._budget

    def hold(self, task: CanvasTask, key: CompatibilityKey) -> None:
        """Take the room of an edit's tensors."""
        with self._lock:
            self._held += self._resident(task, key)

    def release(self, task: CanvasTask, key: CompatibilityKey) -> None:
        """Give back what ``hold`` took."""
        with self._lock:
            self._held -= self._resident(task, key)

    def failed(self, tokens: int, alone: bool = False) -> None:
        """Remember that a step of so many tokens, in all rows together, did not fit.

        ``alone``: not even with nothing beside it, so that edits of its size are refused.
        Otherwise the shortage may have been that of the moment: only its rows are parted.
        """
        (self._alone if alone else self._together).note(tokens)

    def _peak(self, task: CanvasTask, key: CompatibilityKey) -> int:
        """Bytes that an edit takes while it is denoised alone, or decoded."""
        return self._resident(task, key) + max(self._step(key.tokens), self._decoding(task))

    def _resident(self, task: CanvasTask, key: CompatibilityKey) -> int:
        """Bytes of latents, references and embeddings; a mask's tensors twice the latents."""
        config = self._checkpoint.pipeline.transformer.config
        rows = 2 if task.guided else 1
        embeddings = rows * _PROMPT_TOKENS * int(config.joint_attention_dim)
        return (3 * key.tokens * int(config.in_channels) + embeddings) * key.dtype.itemsize

    def _step(self, tokens: int) -> int:
        config = self._checkpoint.pipeline.transformer.config
        width = int(config.attention_head_dim) * int(config.num_attention_heads)
        return _STEP_VALUES * tokens * width * _itemsize(self._checkpoint)

    def _decoding(self, task: CanvasTask) -> int:
        vae = self._checkpoint.pipeline.vae
        pixels = task.width * task.height
        if vae.use_tiling:
            pixels = min(pixels, vae.tile_sample_min_width * vae.tile_sample_min_height)
        return _DECODE_VALUES * pixels * int(vae.config.base_dim) * _itemsize(self._checkpoint)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(shortage in said for shortage in _SHORTAGES)


def _itemsize(checkpoint: Checkpoint) -> int:
    return int(getattr(torch, checkpoint.description.dtype).itemsize)


def _free_bytes(checkpoint: Checkpoint, set_aside: int) -> int | None:
    device = torch.device(checkpoint.description.device)
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(_RESERVE * free) - set_aside
