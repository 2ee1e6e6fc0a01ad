"""Trains the autoencoder: pictures of scenes through 16 channels of latents and back."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLQwenImage
from torch.nn import functional

from serve_app.engine.miniature import single_frame
from serve_app.engine.miniature.architecture import LATENT_CHANNELS, Sizes
from serve_app.engine.miniature.drawing import draw
from serve_app.engine.miniature.scenes import draw_pair
from serve_app.engine.miniature.stage import LossOfStep
from serve_app.images.pixels import RGB

LEARNING_RATE = 2e-3
BATCH = 32

_KL_WEIGHT = 2e-4
_EDGE_WEIGHT = 4.0
# Styles and signs have pixels of their own, which other pictures don't teach.
_KINDS = {
    "recolour": 2.0,
    "add": 2.0,
    "background": 2.0,
    "resize": 2.0,
    "swap": 2.0,
    "style": 3.5,
    "word": 2.5,
}


def to_tensor(pictures: np.ndarray[Any, Any]) -> torch.Tensor:
    """(batch, side, side, 3) uint8 to (batch, 3, 1, side, side) in -1..1, channels last."""
    pixels = torch.from_numpy(pictures).float() / 127.5 - 1
    flat = pixels.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return flat[:, :, None]


def to_pictures(pixels: torch.Tensor) -> np.ndarray[Any, Any]:
    """The inverse of ``to_tensor``, clipped to what a picture can hold."""
    levels = ((pixels[:, :, 0].float().clamp(-1, 1) + 1) * 127.5).round()
    return levels.permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()


def pictures(seed: int, count: int, side: int) -> np.ndarray[Any, Any]:
    """Pictures to learn from: (count, side, side, 3) uint8."""
    return np.stack(list(_pictures(Random(seed), count, side)))


def _pictures(random: Random, count: int, side: int) -> Iterator[RGB]:
    kinds, weights = list(_KINDS), list(_KINDS.values())
    for _ in range(count):
        pair = draw_pair(random, "train", random.choices(kinds, weights)[0])
        yield draw(pair.target, side)


def loss_of_steps(
    vae: AutoencoderKLQwenImage, sizes: Sizes, device: torch.device, seed: int = 0
) -> LossOfStep:
    """The loss of each step on pictures drawn from ``seed``.

    Errors count more along edges, which decide whether a shape is right and are few. The
    latents' divergence from a normal distribution counts little: it keeps them smooth.
    """
    seen = pictures(seed, 20_000, sizes.side)
    generator = torch.Generator().manual_seed(seed)
    cells = sizes.side // sizes.cell
    compiled = torch.compile(_reconstruction_loss)

    def loss_of(_: int) -> tuple[torch.Tensor, dict[str, float]]:
        rows = torch.randint(len(seen), (BATCH,), generator=generator)
        pixels = to_tensor(seen[rows.numpy()]).to(device)
        noise = torch.randn(BATCH, LATENT_CHANNELS, 1, cells, cells, generator=generator)
        with torch.autocast(device.type, torch.bfloat16):
            loss, squared = compiled(vae, pixels, noise.to(device))
        return loss, {"psnr": psnr(squared.item())}

    return loss_of


def _reconstruction_loss(
    vae: AutoencoderKLQwenImage, pixels: torch.Tensor, noise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    moments = single_frame.encode(vae, pixels)
    mean, log_variance = moments.float().chunk(2, dim=1)
    log_variance = log_variance.clamp(-10, 4)
    latents = mean + noise * (0.5 * log_variance).exp()
    decoded = single_frame.decode(vae, latents.to(moments.dtype)).float()
    error = (decoded - pixels)[:, :, 0]
    weight = 1 + _EDGE_WEIGHT * _edges(pixels[:, :, 0])
    weight = weight / weight.mean()
    absolute = (weight * (error.abs() + 2 * error**2)).mean()
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
    return absolute + _KL_WEIGHT * divergence, (error**2).mean().detach()


def _edges(pixels: torch.Tensor) -> torch.Tensor:
    """Where neighbours differ: (batch, 1, height, width), 0..1, of pixels in -1..1."""
    highest = functional.max_pool2d(pixels, 3, 1, 1)
    lowest = -functional.max_pool2d(-pixels, 3, 1, 1)
    return (2 * (highest - lowest).amax(dim=1, keepdim=True)).clamp(0, 1)


def psnr(squared_error: float) -> float:
    """Peak signal-to-noise ratio, dB, of a mean squared error of pixels in -1..1."""
    return float(10 * np.log10(4 / max(squared_error, 1e-10)))


@torch.no_grad()
def set_latent_statistics(vae: AutoencoderKLQwenImage, sizes: Sizes, seed: int = 1) -> None:
    """Write mean and deviation of each channel of the latents into the configuration.

    The pipelines normalise by them, so that the transformer sees latents of deviation one.
    """
    device = next(vae.parameters()).device
    pixels = to_tensor(pictures(seed, 512, sizes.side)).to(device)
    latents = torch.cat(
        [single_frame.encode(vae, part).chunk(2, 1)[0] for part in pixels.split(64)]
    )
    over = (0, 2, 3, 4)
    vae.register_to_config(
        latents_mean=latents.mean(over).tolist(), latents_std=latents.std(over).tolist()
    )
