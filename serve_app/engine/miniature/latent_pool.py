"""Training pairs as packed latents, a part of them drawn anew all the time."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLQwenImage

from serve_app.engine.miniature import single_frame
from serve_app.engine.miniature.architecture import LATENT_CHANNELS, Sizes
from serve_app.engine.miniature.autoencoder_training import to_tensor
from serve_app.engine.miniature.scenes import Family, draw_families
from serve_app.engine.miniature.wording import Change

CHANGES_PER_SCENE = 4
_ENCODED_AT_ONCE = 64


class Latents:
    """Pictures to packed latents (batch, tokens, 64) of deviation one, and back."""

    def __init__(self, vae: AutoencoderKLQwenImage, sizes: Sizes) -> None:
        self._vae = vae
        self._side = sizes.tokens_per_side
        self._device = next(vae.parameters()).device
        self._mean = self._channels(vae.config.latents_mean)
        self._deviation = self._channels(vae.config.latents_std)
        self._encode = torch.compile(lambda x: single_frame.encode(vae, x).chunk(2, 1)[0])

    def _channels(self, values: list[float]) -> torch.Tensor:
        return torch.tensor(values, device=self._device).view(1, LATENT_CHANNELS, 1, 1, 1)

    @torch.no_grad()
    def of(self, pictures: np.ndarray[Any, Any]) -> torch.Tensor:
        """Encode (batch, side, side, 3) uint8."""
        parts = []
        for start in range(0, len(pictures), _ENCODED_AT_ONCE):
            part = pictures[start : start + _ENCODED_AT_ONCE]
            # Always the same size, or it would be compiled again.
            full = np.resize(part, (_ENCODED_AT_ONCE, *part.shape[1:]))
            with torch.autocast(self._device.type, torch.bfloat16):
                encoded = self._encode(to_tensor(full).to(self._device))
            parts.append(encoded[: len(part)].float())
        return self._pack((torch.cat(parts) - self._mean) / self._deviation)

    @torch.no_grad()
    def to_pixels(self, packed: torch.Tensor) -> torch.Tensor:
        """Decode to (batch, 3, 1, side, side), about -1..1."""
        latents = self._unpack(packed) * self._deviation + self._mean
        return single_frame.decode(self._vae, latents)

    def _pack(self, latents: torch.Tensor) -> torch.Tensor:
        batch, side = len(latents), self._side
        cells = latents.view(batch, LATENT_CHANNELS, side, 2, side, 2)
        return cells.permute(0, 2, 4, 1, 3, 5).reshape(batch, side * side, 4 * LATENT_CHANNELS)

    def _unpack(self, packed: torch.Tensor) -> torch.Tensor:
        batch, side = len(packed), self._side
        cells = packed.view(batch, side, side, LATENT_CHANNELS, 2, 2)
        return cells.permute(0, 3, 1, 4, 2, 5).reshape(
            batch, LATENT_CHANNELS, 1, 2 * side, 2 * side
        )


class LatentPool:
    """``families`` scenes with four changes each, encoded; held in bfloat16."""

    def __init__(self, latents: Latents, sizes: Sizes, families: int, seed: int) -> None:
        self._latents = latents
        self._side = sizes.side
        self._source: Iterator[Family] = draw_families(seed, CHANGES_PER_SCENE)
        tokens = sizes.tokens_per_side**2
        shape = (families, 1 + CHANGES_PER_SCENE, tokens, 4 * LATENT_CHANNELS)
        self._held = torch.empty(shape, dtype=torch.bfloat16)
        self._changes: list[tuple[Change, ...]] = [()] * families
        self._next = 0

    def fill(self) -> Iterator[float]:
        """Draw all of it; yields the share that is done."""
        total = len(self._changes)
        for done in range(0, total, 256):
            self.renew(min(256, total - done))
            yield (done + 256) / total

    def renew(self, families: int) -> None:
        """Replace the oldest ``families`` by new ones."""
        drawn = [next(self._source) for _ in range(families)]
        pictures = np.stack(
            [picture for family in drawn for picture in family.pictures(self._side)]
        )
        packed = self._latents.of(pictures).to("cpu", torch.bfloat16)
        for family, rows in zip(drawn, packed.view(families, *self._held.shape[1:]), strict=True):
            self._held[self._next] = rows
            self._changes[self._next] = family.changes
            self._next = (self._next + 1) % len(self._changes)

    def sample(self, random: Random, batch: int) -> tuple[torch.Tensor, torch.Tensor, list[Change]]:
        """Sources and targets (batch, tokens, 64) with the changes between them."""
        rows = [random.randrange(len(self._changes)) for _ in range(batch)]
        which = [random.randrange(CHANGES_PER_SCENE) for _ in range(batch)]
        sources = self._held[rows, 0].float()
        targets = self._held[rows, [1 + index for index in which]].float()
        changes = [self._changes[row][index] for row, index in zip(rows, which, strict=True)]
        return sources, targets, changes
