"""The checkpoint in the package: complete, light, honest about itself, and able to edit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
from diffusers import QwenImageEditPlusPipeline
from safetensors import safe_open

from benchmarks.readme import table
from serve_app.config import EngineConfig, ModelConfig
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint, load_checkpoint
from serve_app.engine.miniature.changes import CHANGES
from serve_app.engine.miniature.create import CARD
from serve_app.engine.miniature.evaluate import (
    Example,
    Way,
    edit_all,
    examples,
    job,
    model_config,
    scored,
)
from serve_app.engine.miniature.flow_training import TEXT_LENGTH
from serve_app.engine.miniature.pretrained import EDITS, FEW_STEP, MINIATURE, SHIPPED, VERSION
from serve_app.engine.miniature.scenes import draw_pair
from serve_app.engine.miniature.text_training import TokenTemplate
from serve_app.engine.processor import load_processor
from serve_app.serve_config import check
from tests.conftest import ROOT

MOST_BYTES = 25_000_000


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load_checkpoint(ModelConfig(checkpoint=MINIATURE, device="cpu"))


def test_it_is_light_and_holds_no_pickle() -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".md", ".txt", ".jinja"}


def test_its_weights_are_half_precision_and_finite() -> None:
    for path in SHIPPED.rglob("*.safetensors"):
        with safe_open(path, "np") as weights:
            for name in weights.keys():  # noqa: SIM118 - no mapping
                tensor = weights.get_tensor(name)
                assert tensor.dtype == np.float16, (path, name)
                assert np.isfinite(tensor).all(), (path, name)


def test_it_loads_by_its_name_and_says_what_it_edits(checkpoint: Checkpoint) -> None:
    description = checkpoint.description
    assert description.miniature
    assert description.edits == EDITS
    assert description.revision.startswith("local-")
    assert json.loads((SHIPPED / CARD).read_text())["version"] == VERSION
    assert description == load_checkpoint(ModelConfig(device="cpu")).description


def test_it_opens_in_stock_diffusers() -> None:
    pipeline = QwenImageEditPlusPipeline.from_pretrained(
        SHIPPED, processor=load_processor(str(SHIPPED), None)
    )
    assert pipeline.vae_scale_factor == 4


def test_its_card_prints_what_was_measured() -> None:
    assert table(["miniature"]) in (SHIPPED / "README.md").read_text()


def test_every_instruction_fits_the_length_of_training(checkpoint: Checkpoint) -> None:
    tokenizer = checkpoint.pipeline.tokenizer
    template = TokenTemplate.of(tokenizer)
    around = len(template.head) - template.cut + template.tail
    random = Random(0)
    for kind in CHANGES:
        for _ in range(100):
            instruction = draw_pair(random, "held_out", kind).instruction
            assert around + len(tokenizer(instruction)["input_ids"]) <= TEXT_LENGTH


@pytest.mark.parametrize("size", [(64, 64), (200, 140), (640, 90)])
def test_any_size_comes_back_at_its_own(size: tuple[int, int]) -> None:
    width, height = size
    engine = Engine.load(model_config(MINIATURE, 64, Way(2)), EngineConfig())
    try:
        (example,) = examples(1, 64)
        picture = np.resize(example.source, (height, width, 3))
        stretched = Example(example.pair, picture, picture)
        (edited,) = asyncio.run(edit_all(engine, [job(stretched, Way(2), 0)]))
    finally:
        engine.close()
    assert edited.shape == picture.shape


# It edits: the lowest rate that is not chance, far below what the benchmark measures.


@pytest.fixture(scope="module")
def easy() -> list[Example]:
    drawn = examples(99, 64)
    return [it for it in drawn if it.pair.change.kind in {"recolour", "remove", "style"}]


@pytest.fixture(params=[Way(8), Way(4, few_step=True), Way(2, few_step=True)])
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    return request.param


def test_it_edits_pictures_it_never_saw(way: Way, easy: list[Example]) -> None:
    engine = Engine.load(model_config(MINIATURE, 64, way), EngineConfig(max_batch_size=8))
    try:
        jobs = [job(example, way, seed) for seed, example in enumerate(easy)]
        scores = scored(easy, asyncio.run(edit_all(engine, jobs)))
    finally:
        engine.close()
    assert np.mean([one.succeeded for one in scores]) >= 0.5


def test_the_adapter_is_another_revision() -> None:
    assert FEW_STEP.is_file()
    plain = load_checkpoint(model_config(MINIATURE, 64, Way(8))).description.revision
    few = load_checkpoint(model_config(MINIATURE, 64, Way(4, few_step=True))).description.revision
    assert few.startswith(plain)
    assert few != plain


def test_the_lightning_configuration_edits_with_the_miniature(easy: list[Example]) -> None:
    """configs/lightning.yaml, with nothing but checkpoint, adapter and canvas exchanged."""
    (config,) = check(ROOT / "configs" / "lightning.yaml")
    way = Way(config.planning.num_inference_steps or 0, few_step=True)
    assert config.planning.true_cfg_scale == way.true_cfg_scale
    few_step = config.model.few_step
    assert few_step is not None
    exchanged = model_config(MINIATURE, 64, way)
    model = config.model.model_copy(
        update={
            **exchanged.model_dump(include={"checkpoint", "device", "vae_area", "condition_area"}),
            "dtype": "auto",
            "few_step": few_step.model_copy(update={"adapter": Path(MINIATURE)}),
        }
    )
    engine = Engine.load(model, EngineConfig(max_batch_size=config.engine.max_batch_size))
    try:
        jobs = [job(example, way, seed) for seed, example in enumerate(easy[:12])]
        scores = scored(easy[:12], asyncio.run(edit_all(engine, jobs)))
    finally:
        engine.close()
    assert np.mean([one.succeeded for one in scores]) >= 0.5
