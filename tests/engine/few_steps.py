"""Miniatures with a few-step adapter, loaded as the service loads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serve_app.config import ModelConfig
from serve_app.engine.load import Checkpoint, load_checkpoint
from tests.engine.tasks import CONDITION_AREA

SIDE = 64


def load(folder: Path, **changes: Any) -> Checkpoint:
    """The checkpoint in ``folder``, for canvases of ``SIDE`` squared, with other settings."""
    config = ModelConfig.model_validate(
        {
            "checkpoint": str(folder),
            "device": "cpu",
            "vae_area": SIDE * SIDE,
            "condition_area": CONDITION_AREA,
            **changes,
        }
    )
    return load_checkpoint(config)
