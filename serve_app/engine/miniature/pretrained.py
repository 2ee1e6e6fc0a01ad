"""The trained miniature: where it ships, how it is written, what its card says."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from diffusers import QwenImageEditPlusPipeline
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import QwenImageCausalConv3d

from serve_app.engine.miniature.architecture import Sizes, assemble
from serve_app.engine.miniature.vocabulary import LANGUAGES
from serve_app.engine.processor import load_processor

MINIATURE = "miniature"
"""Names the shipped checkpoint, and its adapter, in configurations."""

SHIPPED = Path(str(files("serve_app.engine.miniature"))) / "weights"
"""The checkpoint in the package: a folder as of any other checkpoint."""

FEW_STEP = SHIPPED / "few_step.safetensors"
"""The adapter that edits in two or four steps without guidance."""

VERSION = "2"

EDITS = (
    "recolour an object",
    "remove an object",
    "add an object at a place",
    "change the background",
    "move or resize an object",
    "swap two colours",
    "style: greyscale, sepia, inverted, pencil outline, night",
    "change the word on the sign (2 to 5 letters)",
)


def card(size: str, side: int, minutes: float) -> dict[str, Any]:
    """What a trained checkpoint says of itself; ``minutes`` is how long it was trained in all."""
    return {
        "version": VERSION,
        "edits": EDITS,
        "languages": LANGUAGES,
        "size": size,
        "side": side,
        "trained_minutes": round(minutes, 1),
        "trained_on": datetime.now(UTC).date().isoformat(),
    }


def plain_copy(pipeline: Any, sizes: Sizes) -> Any:
    """A trained pipeline in float16, without what training added to its modules."""
    plain = assemble(sizes, pipeline.tokenizer)
    plain.vae.register_to_config(
        latents_mean=pipeline.vae.config.latents_mean, latents_std=pipeline.vae.config.latents_std
    )
    for part in ("vae", "text_encoder", "transformer"):
        trained = getattr(pipeline, part).state_dict()
        getattr(plain, part).load_state_dict({name: it.cpu() for name, it in trained.items()})
    _clear_unused_slices(plain.vae)
    return plain.to(torch.float16)


def open_checkpoint(folder: Path) -> Any:
    """Open a checkpoint for training or scoring, in float32."""
    return QwenImageEditPlusPipeline.from_pretrained(
        folder, processor=load_processor(str(folder), None), dtype=torch.float32
    )


def silence_vision(text_encoder: Any) -> None:
    """Let the vision tower, which isn't trained, put out zeros: a picture then says nothing."""
    with torch.no_grad():
        for parameter in text_encoder.model.visual.merger.mlp[-1].parameters():
            parameter.zero_()


@torch.no_grad()
def _clear_unused_slices(vae: Any) -> None:
    """Zero what only videos would use; it was never trained, and zeros compress well."""
    for name, module in vae.named_modules():
        if isinstance(module, QwenImageCausalConv3d):
            if "time_conv" in name:
                module.weight.zero_()
            else:
                module.weight[:, :, :-1] = 0
