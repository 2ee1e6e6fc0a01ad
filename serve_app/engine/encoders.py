"""The text and the image encoder, with a memory of what they encoded lately.

Variants of one image, the steps of a chain and attempts with other seeds meet the same
picture and prompts again: reference latents are kept by the pixels they come from, prompt
embeddings by the prompt and the pictures the text encoder saw beside it, and what it made of
the pictures alone (see ``prompts``). A result doesn't depend on what is remembered, since each
thing is always encoded alone and in one way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar

import numpy as np
import torch
from cachetools import LRUCache

from serve_app.engine.load import Checkpoint
from serve_app.engine.prompts import PromptEncoder
from serve_app.engine.state import CanvasTask
from serve_app.images.pixels import RGB

T = TypeVar("T")


@dataclass(slots=True)
class Encoded:
    """How often each encoder ran."""

    prompts: int = 0
    images: int = 0


class Encoders:
    """Encodes for one checkpoint, remembering up to ``max_bytes``; use it from one thread."""

    def __init__(self, checkpoint: Checkpoint, max_bytes: int) -> None:
        self.checkpoint = checkpoint
        self.encoded = Encoded()
        self._prompts = PromptEncoder(checkpoint)
        self._recent: LRUCache[bytes, Any] = LRUCache(max_bytes, getsizeof=_nbytes)

    def prompts(self, task: CanvasTask) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Embeddings (1, length, width) of the prompt and, for guidance, of the negative one."""
        shown = _digest(task.conditions)
        read = partial(self._prompts.prefix, task)
        # Also where nothing is remembered, both prompts share it.
        prefix = cache(partial(self._once, b"prefix:" + shown, read))

        def embed(prompt: str) -> torch.Tensor:
            self.encoded.prompts += 1
            return self._prompts.embed(prompt, prefix())

        def once(prompt: str) -> torch.Tensor:
            return self._once(b"prompt:" + shown + prompt.encode(), partial(embed, prompt))

        return once(task.prompt), once(task.negative_prompt) if task.guided else None

    def references(self, task: CanvasTask) -> torch.Tensor:
        """Latents of all references in order, packed: (1, tokens, channels)."""
        return torch.cat([self._reference(image) for image in task.references], dim=1)

    def _reference(self, image: RGB) -> torch.Tensor:
        return self._once(b"image:" + _digest([image]), partial(self._packed, image))

    def _packed(self, image: RGB) -> torch.Tensor:
        """As the stock pipelines' ``prepare_latents`` does for each of its images."""
        self.encoded.images += 1
        pipeline = self.checkpoint.pipeline
        pixels = _to_tensor(image).to(pipeline._execution_device, self.checkpoint.dtype)
        latents: torch.Tensor = pipeline._encode_vae_image(image=pixels, generator=None)
        _, channels, _, height, width = latents.shape
        packed: torch.Tensor = pipeline._pack_latents(latents, 1, channels, height, width)
        return packed

    def _once(self, key: bytes, encode: Callable[[], T]) -> T:
        known: T | None = self._recent.get(key)
        if known is not None:
            return known
        encoded = encode()
        if _nbytes(encoded) <= self._recent.maxsize:
            self._recent[key] = encoded
        return encoded


def _digest(images: Sequence[RGB]) -> bytes:
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.shape}".encode())
        digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def _nbytes(encoded: Any) -> int:
    return int(encoded.nbytes)


def _to_tensor(pixels: RGB) -> torch.Tensor:
    """(height, width, 3) uint8 to (1, 3, 1, height, width) in -1..1, as the stock pipeline."""
    scaled = torch.from_numpy(pixels.astype(np.float32) / 255.0)
    return (2.0 * scaled - 1.0).permute(2, 0, 1)[None, :, None]
