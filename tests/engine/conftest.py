"""Miniature checkpoints, made once per test session and loaded through the real path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from serve_app.config import EngineConfig, ModelConfig
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint, load_checkpoint
from serve_app.engine.miniature.create import create_miniature
from tests.engine.loops import in_turns
from tests.engine.tasks import CONDITION_AREA

AREA = 128 * 128

# Two threads fight over two busy cores, up to fifty times slower than one.
torch.set_num_threads(1)


def _load(folder: Path) -> Checkpoint:
    config = ModelConfig(
        name="miniature",
        checkpoint=str(folder),
        device="cpu",
        vae_area=AREA,
        condition_area=CONDITION_AREA,
    )
    return load_checkpoint(config)


@pytest.fixture(scope="session")
def miniatures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    """One checkpoint of each kind: first Edit, 2509 (Plus), 2511 (Plus with zero_cond_t)."""
    root = tmp_path_factory.mktemp("miniatures")
    create_miniature(root / "edit", "edit")
    create_miniature(root / "plus", "edit_plus")
    create_miniature(root / "plus-2511", "edit_plus", zero_cond_t=True)
    return {name: _load(root / name) for name in ("edit", "plus", "plus-2511")}


@pytest.fixture(scope="session")
def plus(miniatures: dict[str, Checkpoint]) -> Checkpoint:
    return miniatures["plus"]


@pytest.fixture
def device_loop(plus: Checkpoint) -> Iterator[DeviceLoop]:
    loop = in_turns(plus, 5)
    yield loop
    loop.close()


@pytest.fixture
def engine(plus: Checkpoint) -> Iterator[Engine]:
    engine = Engine(plus, EngineConfig())
    yield engine
    engine.close()
