"""Writes miniature checkpoints: folders that open in stock diffusers and here alike."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from serve_app.engine.miniature.architecture import TINY, Family, assemble
from serve_app.engine.miniature.tokenizer import byte_tokenizer

CARD = "miniature.json"
"""File in the checkpoint folder that says it is a miniature, and what it can do."""


def read_card(folder: Path) -> dict[str, Any] | None:
    """What a checkpoint's folder says of itself if it is a miniature, else ``None``."""
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text())
    except FileNotFoundError:
        return None
    return card


def create_miniature(
    folder: Path,
    family: Family = "edit_plus",
    *,
    zero_cond_t: bool = False,
    seed: int = 0,
) -> None:
    """Write the tiny miniature with random weights to ``folder``, complete or not at all.

    It shows every part of the engine at work and paints noise: for tests and for measuring.
    Equal arguments give equal weights. ``zero_cond_t`` makes the transformer of the 2511 kind.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = assemble(TINY, byte_tokenizer(), family, zero_cond_t=zero_cond_t)
    save_miniature(folder, pipeline, {"version": "random"})


def save_miniature(folder: Path, pipeline: Any, card: Mapping[str, Any]) -> None:
    """Write ``pipeline`` to ``folder``, complete or not at all; ``card`` says what it is."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        pipeline.save_pretrained(unfinished, safe_serialization=True)
        _name_stock_processor(unfinished)
        content = json.dumps({"miniature": True, **card}, indent=2, ensure_ascii=False)
        (unfinished / CARD).write_text(content + "\n")
        _publish(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _publish(unfinished: Path, folder: Path) -> None:
    try:
        unfinished.rename(folder)
    except OSError:
        # Somebody else was quicker; what a miniature's folder holds is a miniature.
        if not (folder / CARD).is_file():
            raise


def _name_stock_processor(folder: Path) -> None:
    """Let the checkpoint open in stock diffusers, which doesn't know our processor class."""
    path = folder / "model_index.json"
    index = json.loads(path.read_text())
    index["processor"] = ["transformers", "Qwen2VLProcessor"]
    path.write_text(json.dumps(index, indent=2) + "\n")
    config = folder / "processor" / "processor_config.json"
    if config.is_file():
        settings = json.loads(config.read_text())
        settings["processor_class"] = "Qwen2VLProcessor"
        config.write_text(json.dumps(settings, indent=2) + "\n")
