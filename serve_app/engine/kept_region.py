"""The region a mask protects, held to the original's latents at every step.

Blended Latent Diffusion (Avrahami et al., 2023) for flow matching: outside the mask the
latents are set to the original, noised with the request's own noise to the level of the
next step, so that what is inside always sees surroundings of its own noise level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from serve_app.images.masks import Editable


@dataclass(frozen=True, slots=True, eq=False)
class KeptRegion:
    """Packed tensors (1, tokens, channels): ``editable`` is boolean, where latents are free.

    ``original`` are the latents of the edited image, on the same canvas as the output, and
    ``noise`` is what the request started from.
    """

    editable: torch.Tensor
    original: torch.Tensor
    noise: torch.Tensor

    @classmethod
    def of(
        cls, pipeline: Any, editable: Editable, original: torch.Tensor, noise: torch.Tensor
    ) -> KeptRegion:
        """Lay a mask (canvas height, canvas width) out on the packed latents.

        A latent is free if any of its pixels is.
        """
        cell = int(pipeline.vae_scale_factor)
        pixels = torch.from_numpy(editable)[None, None].float()
        cells = torch.nn.functional.max_pool2d(pixels, cell)
        height, width = cells.shape[2:]
        channels = noise.shape[2] // 4  # 2x2 latents are packed into one token
        spread = cells[:, None].expand(1, 1, channels, height, width)
        packed = pipeline._pack_latents(spread, 1, channels, height, width)
        return cls(packed.to(noise.device) > 0.5, original, noise)

    def hold(self, latents: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return ``latents`` with the kept region at the original's, noised to ``sigma`` (0..1).

        In float32, like the scheduler's own step, so that bfloat16 rounds once. At 0, where
        every schedule ends, it is exactly the original.
        """
        outside = (1.0 - sigma) * self.original.float() + sigma * self.noise.float()
        return torch.where(self.editable, latents, outside.to(latents.dtype))
