"""A folder of adapters, and a transformer of the test's own to wrap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve_app.config import AdaptersConfig
from serve_app.engine.adapters import Adapters
from serve_app.engine.load import Checkpoint
from tests.engine.adapters.pipelines import (
    fresh,
)
from tests.engine.lora_files import (
    EVERYWHERE,
    save_as_diffusers,
    save_bare,
    trained,
)


@pytest.fixture(scope="module")
def folder(plus: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters")
    transformer = plus.pipeline.transformer
    save_as_diffusers(folder / "a.safetensors", *trained(transformer, 1, lora_alpha=4))
    save_bare(folder / "b.v1-x.safetensors", trained(transformer, 2, rank=2)[0])
    weights, config = trained(transformer, 3, rank=8, lora_alpha=2, targets=EVERYWHERE)
    save_as_diffusers(folder / "wide.safetensors", weights, config)
    return folder


@pytest.fixture
def pipeline(plus: Checkpoint) -> Any:
    return fresh(plus)


@pytest.fixture
def adapters(pipeline: Any, folder: Path) -> Adapters:
    return Adapters(pipeline, AdaptersConfig(folder=folder))
