"""The whole service in one process, with the real engine on the miniature."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.config import (
    CacheConfig,
    CheckLimits,
    EngineConfig,
    ModelConfig,
    PlanningConfig,
    QualityConfig,
    ServiceConfig,
    StorageConfig,
)
from serve_app.edits.request import EditRequest
from serve_app.engine.engine import Engine
from serve_app.engine.miniature.create import create_miniature
from serve_app.images.pixels import DecodedImage
from serve_app.quality.table import TABLE
from tests.conftest import photo


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    """The tiny miniature with random weights: it changes every picture, and quickly."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    create_miniature(folder)
    return ModelConfig(
        name="miniature", checkpoint=str(folder), vae_area=64 * 64, condition_area=56 * 56
    )


@pytest.fixture(scope="session")
def engine(model: ModelConfig) -> Iterator[Engine]:
    engine = Engine.load(model, EngineConfig(threads=1))
    yield engine
    engine.close()


# The tiny miniature paints noise: of what judges it, only what these tests fail on purpose counts.
_BASICS = ("finite", "collapse", "no_op")
QUALITY = QualityConfig(
    checks={
        rule.name: {kind.value: CheckLimits() for kind in rule.limits}
        for rule in TABLE
        if rule.name not in (*_BASICS, "instruction")
    },
    collapse_flatness=1.0,
    read_text=False,
)


@pytest.fixture
def config(model: ModelConfig, tmp_path: Path) -> ServiceConfig:
    return ServiceConfig(
        model=model,
        planning=PlanningConfig(num_inference_steps=3, max_attempts=3),
        cache=CacheConfig(lease_s=5),
        quality=QUALITY,
        storage=StorageConfig(root=str(tmp_path)),
    )


@pytest.fixture(scope="session")
def request_for_blue() -> EditRequest:
    return EditRequest((DecodedImage.of(photo("coffee", (96, 64))),), "make it blue")
