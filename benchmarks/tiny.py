"""The tiny miniature with random weights, for figures that don't depend on what is painted."""

from __future__ import annotations

from pathlib import Path

from serve_app.config import ModelConfig
from serve_app.engine.miniature.create import create_miniature

AREA, CONDITION_AREA = 128 * 128, 112 * 112


def tiny_model(folder: Path) -> ModelConfig:
    """Write the checkpoint to ``folder`` and return the settings that load it on the CPU.

    It has the full model's 8x autoencoder, so that its canvases and tokens are those of the
    real model; the trained miniature is made for one small canvas.
    """
    create_miniature(folder / "tiny")
    return ModelConfig(
        name="tiny",
        checkpoint=str(folder / "tiny"),
        device="cpu",
        vae_area=AREA,
        condition_area=CONDITION_AREA,
    )
