"""From latents back to pixels, for finished edits and for previews."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from serve_app.engine.state import DenoisingState
from serve_app.images.pixels import RGB

if TYPE_CHECKING:
    from serve_app.engine.load import Checkpoint


def decode(
    checkpoint: Checkpoint, latents: torch.Tensor, state: DenoisingState
) -> tuple[RGB, bool]:
    """Decode packed latents (1, tokens, channels) to pixels of the state's canvas.

    Also returns whether every value was finite.
    """
    task = state.ticket.task
    return decode_latents(checkpoint.pipeline, latents, task.width, task.height)


def decode_latents(
    pipeline: Any, latents: torch.Tensor, width: int, height: int
) -> tuple[RGB, bool]:
    """Decode packed latents (1, tokens, channels) of a ``width`` x ``height`` canvas.

    Also returns whether every value was finite: NaN and infinity would otherwise pass
    silently as black, which a bfloat16 VAE is known to produce.
    """
    vae = pipeline.vae
    unpacked = pipeline._unpack_latents(latents, height, width, pipeline.vae_scale_factor)
    unpacked = unpacked.to(vae.dtype)
    per_channel = (1, vae.config.z_dim, 1, 1, 1)
    mean = torch.tensor(vae.config.latents_mean).view(per_channel).to(unpacked)
    # As the stock pipeline has it: divided by the reciprocal, bit for bit.
    reciprocal = 1.0 / torch.tensor(vae.config.latents_std).view(per_channel).to(unpacked)
    decoded = vae.decode(unpacked / reciprocal + mean, return_dict=False)[0][:, :, 0]
    finite = bool(torch.isfinite(decoded).all())
    pixels = pipeline.image_processor.postprocess(torch.nan_to_num(decoded), output_type="np")
    return (pixels[0] * 255).round().astype("uint8"), finite


def heading(
    state: DenoisingState, latents: torch.Tensor, velocity: torch.Tensor | None, step: int
) -> torch.Tensor:
    """Latents (1, tokens, channels) of what an edit was heading for after ``step`` steps.

    Flow matching moves along ``velocity``: from noise level sigma, the end of the straight
    line is ``latents - sigma * velocity``, sharper when decoded than the noisy latents.
    """
    if velocity is None:
        return latents
    sigma = state.scheduler.sigmas[step].to(latents)
    estimate = latents - sigma * velocity
    return estimate if state.kept is None else state.kept.hold(estimate, torch.zeros_like(sigma))
