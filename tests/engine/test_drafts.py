"""Drafts and full edits side by side: each as if the engine made nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.gguf_file import write_gguf
from serve_app.config import (
    AccelerationConfig,
    EngineConfig,
    FewStepConfig,
    ModelConfig,
    ServiceConfig,
)
from serve_app.edits.job import EditJob
from serve_app.edits.model import FewStepDrafts
from serve_app.edits.request import LoraUse
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint
from serve_app.engine.miniature.create import create_miniature
from serve_app.engine.miniature.evaluate import (
    Way,
    edit_all,
    examples,
    job,
    model_config,
    scored,
)
from serve_app.engine.miniature.pretrained import MINIATURE
from serve_app.engine.state import CanvasTask
from serve_app.errors import ConfigurationError, InvalidRequest
from serve_app.images.pixels import RGB
from tests.engine.few_steps import load
from tests.engine.loops import in_turns
from tests.engine.lora_files import save_as_diffusers, save_with_alphas, trained
from tests.engine.watched import Watched, alone, assert_same, small

SNOW = LoraUse("snow", 0.6)

Load = Callable[..., Checkpoint]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drafts") / "plus"
    create_miniature(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(folder: Path) -> Path:
    """A few-step adapter as they are published, with alphas: half as strong as its weights."""
    path = folder.parent / "lightning.safetensors"
    save_with_alphas(path, trained(load(folder).pipeline.transformer, 11)[0], 2.0)
    return path


@pytest.fixture(scope="module")
def requested(folder: Path) -> Path:
    """A folder with the adapter that requests name."""
    adapters = folder.parent / "adapters"
    adapters.mkdir()
    transformer = load(folder).pipeline.transformer
    targets = ("to_k", "to_v", "img_mlp.net.2")  # some layers that drafts change too
    save_as_diffusers(
        adapters / f"{SNOW.name}.safetensors", *trained(transformer, 12, targets=targets)
    )
    return adapters


@pytest.fixture(scope="module")
def gguf_file(folder: Path) -> Path:
    file = folder.parent / "transformer.gguf"
    write_gguf(folder / "transformer", file)
    return file


@pytest.fixture(scope="module")
def loaded(folder: Path, adapter: Path, requested: Path) -> Load:
    """Load with the few-step adapter used as it says, or without; adapters may be named."""

    def load_it(use: str | None, memory: dict[str, Any] | None = None, **few: Any) -> Checkpoint:
        few_step = None if use is None else {"adapter": adapter, "use": use, **few}
        named = {"folder": requested}
        return load(folder, few_step=few_step, memory=memory or {}, adapters=named)

    return load_it


@pytest.fixture(scope="module")
def plain(loaded: Load) -> Iterator[DeviceLoop]:
    with running(loaded(None)) as loop:
        yield loop


@pytest.fixture(scope="module")
def fused(loaded: Load) -> Iterator[DeviceLoop]:
    with running(loaded("always")) as loop:
        yield loop


@pytest.fixture(scope="module")
def checkpoint(loaded: Load) -> Checkpoint:
    return loaded("drafts")


@pytest.fixture(scope="module")
def drafting(checkpoint: Checkpoint) -> Iterator[DeviceLoop]:
    with running(checkpoint) as loop:
        yield loop


@contextmanager
def running(checkpoint: Checkpoint) -> Iterator[DeviceLoop]:
    loop = in_turns(checkpoint, 5)
    try:
        yield loop
    finally:
        loop.close()


def edit(checkpoint: Checkpoint, **changes: Any) -> CanvasTask:
    return small(checkpoint, "let it snow", **{"steps": 4, "seed": 5, **changes})


# What a draft is


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("lora", [None, SNOW])
def test_a_draft_is_the_edit_of_the_fused_model(
    checkpoint: Checkpoint,
    drafting: DeviceLoop,
    fused: DeviceLoop,
    scale: float,
    lora: LoraUse | None,
) -> None:
    expected = alone(fused, edit(checkpoint, scale=scale, lora=lora))
    got = alone(drafting, edit(checkpoint, scale=scale, lora=lora, few_step=True))
    assert_same(got, expected)
    full = alone(drafting, edit(checkpoint, scale=scale, lora=lora))
    assert (got - full).abs().max() > 0.1


@pytest.mark.parametrize("scheduler", ["lightning", "checkpoint"])
def test_its_schedule_is_its_own(
    loaded: Load, checkpoint: Checkpoint, plain: DeviceLoop, scheduler: str
) -> None:
    few = {"scheduler": scheduler, "scale": 0.5}
    with running(loaded("drafts", **few)) as drafting, running(loaded("always", **few)) as fused:
        for steps in (1, 4):
            draft = alone(drafting, edit(checkpoint, steps=steps, few_step=True))
            assert_same(draft, alone(fused, edit(checkpoint, steps=steps)))
        full = edit(checkpoint)
        assert torch.equal(alone(drafting, full), alone(plain, full))


# Beside and after each other


@pytest.mark.parametrize("scale", [1.0, 4.0])
@pytest.mark.parametrize("lora", [None, SNOW])
def test_a_full_edit_beside_drafts_is_bit_for_bit_what_it_is_without_them(
    checkpoint: Checkpoint,
    plain: DeviceLoop,
    drafting: DeviceLoop,
    scale: float,
    lora: LoraUse | None,
) -> None:
    full = edit(checkpoint, steps=6, scale=scale, lora=lora)
    draft = edit(checkpoint, few_step=True)
    expected = alone(plain, full)
    drafted = alone(drafting, draft)
    assert torch.equal(alone(drafting, full), expected)  # after a draft
    edits = [Watched(full), Watched(draft), Watched(edit(checkpoint, few_step=True, lora=SNOW))]
    for each in edits:
        drafting.submit(each.ticket)
    results = [each.result().latents for each in edits]
    assert torch.equal(results[0], expected)
    assert torch.equal(results[1], drafted)


def test_drafts_share_steps_with_each_other_and_not_with_full_edits(
    checkpoint: Checkpoint, drafting: DeviceLoop
) -> None:
    edits = [
        Watched(edit(checkpoint, seed=seed, steps=20, few_step=few_step))
        for seed, few_step in enumerate((True, False, True, False, True))
    ]
    for each in edits:
        drafting.submit(each.ticket)
    for each, together in zip(edits, (3, 2, 3, 2, 3), strict=True):
        each.result()
        assert max(each.shared) == together


@given(order=st.lists(st.tuples(st.booleans(), st.sampled_from([None, SNOW])), max_size=8))
@settings(max_examples=20, deadline=None)
def test_any_order_of_edits_gives_each_its_own_picture(
    checkpoint: Checkpoint,
    plain: DeviceLoop,
    drafting: DeviceLoop,
    order: list[tuple[bool, LoraUse | None]],
) -> None:
    first: dict[tuple[bool, LoraUse | None], torch.Tensor] = {
        (False, lora): alone(plain, edit(checkpoint, steps=2, lora=lora)) for lora in (None, SNOW)
    }
    for few_step, lora in order:
        got = alone(drafting, edit(checkpoint, steps=2, few_step=few_step, lora=lora))
        assert torch.equal(got, first.setdefault((few_step, lora), got))


# However the weights are held


@pytest.mark.parametrize(
    ("memory", "tolerance"),
    [
        ({"offload": "model"}, 1e-4),
        ({"offload": "group"}, 1e-4),
        ({"gguf": "given"}, 0.1),
        ({"quantization": "int8"}, 0.1),
        ({"quantization": "float8"}, 0.5),
        ({"float8_storage": True}, 0.5),
    ],
)
def test_drafts_come_and_go_in_a_memory_mode(
    loaded: Load,
    checkpoint: Checkpoint,
    drafting: DeviceLoop,
    gguf_file: Path,
    memory: dict[str, Any],
    tolerance: float,
) -> None:
    if "gguf" in memory:
        memory = {"gguf": gguf_file}
    full, draft = edit(checkpoint, steps=1), edit(checkpoint, steps=1, few_step=True)
    drafted = alone(drafting, draft)
    allowed = tolerance * (drafted - alone(drafting, full)).abs().max()
    with running(loaded(None, memory)) as without, running(loaded("drafts", memory)) as with_it:
        unchanged = alone(without, full)
        for _ in range(2):
            assert (alone(with_it, draft) - drafted).abs().max() <= allowed
            assert torch.equal(alone(with_it, full), unchanged)


# What the service knows of it


def test_the_description_says_how_drafts_are_made(loaded: Load, checkpoint: Checkpoint) -> None:
    assert checkpoint.description.drafts == FewStepDrafts(4, 1.0)
    other = loaded("drafts", steps=8, true_cfg_scale=1.5).description
    assert other.drafts == FewStepDrafts(8, 1.5)
    assert loaded(None).description.drafts is None
    assert loaded("always").description.drafts is None


def test_the_revision_tells_drafts_from_a_fused_adapter_and_from_none(loaded: Load) -> None:
    descriptions = [loaded(use).description for use in (None, "always", "drafts")]
    descriptions += [loaded("drafts", scale=0.5).description]
    descriptions += [loaded("drafts", scheduler="checkpoint").description]
    revisions = [each.revision for each in descriptions]
    assert len(set(revisions)) == len(revisions)
    assert all(each.startswith(revisions[0]) for each in revisions)
    assert loaded("drafts").description.revision == revisions[2]


def test_a_draft_without_drafts_is_refused(checkpoint: Checkpoint, fused: DeviceLoop) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        fused.submit(Watched(edit(checkpoint, few_step=True)).ticket)
    assert refusal.value.param == "quality"
    assert fused.pending() == 0


@pytest.mark.parametrize(
    ("sizes", "full", "drafts"),
    # By each size alone and two at once: full edits with and without guidance, drafts without.
    [((), 1, 1), (("64x64", "96x64"), 1 + 2 * (1 + 2) * 2, 1 + 2 * (1 + 2))],
)
def test_warming_up_runs_drafts_too(
    loaded: Load, checkpoint: Checkpoint, sizes: tuple[str, ...], full: int, drafts: int
) -> None:
    config = EngineConfig(
        max_batch_size=2, acceleration=AccelerationConfig(warm_up_sizes=sizes), threads=1
    )
    for model, expected in ((loaded(None), full), (checkpoint, full + drafts)):
        engine = Engine(model, config)
        try:
            engine.warm_up()
            assert engine.loop.delivery.finished == expected
        finally:
            engine.close()


# The miniature that is shipped, with its own adapter


def test_the_miniature_drafts_and_edits_in_one_engine() -> None:
    drawn = [it for it in examples(99, 64) if it.pair.change.kind in {"recolour", "remove"}][:8]
    full = [job(it, Way(8), seed) for seed, it in enumerate(drawn)]
    few_step = FewStepConfig(adapter=Path(MINIATURE), use="drafts")
    shipped = model_config(MINIATURE, 64, Way(8))
    # One at a time, so that the bits of an edit can't depend on who shared its steps.
    edited = asyncio.run(all_of(shipped, full))
    drafting = shipped.model_copy(update={"few_step": few_step})
    drafts = [replace(it, num_inference_steps=few_step.steps, few_step=True) for it in full]
    mixed = asyncio.run(all_of(drafting, [*chain(*zip(drafts, full, strict=True))]))
    assert all(np.array_equal(*pair) for pair in zip(mixed[1::2], edited, strict=True))
    succeeded = [one.succeeded for one in scored(drawn, mixed[::2])]
    assert np.mean(succeeded) >= 0.5


async def all_of(model: ModelConfig, jobs: Sequence[EditJob]) -> list[RGB]:
    engine = Engine.load(model, EngineConfig(max_batch_size=1))
    try:
        return await edit_all(engine, jobs)
    finally:
        engine.close()


# Refused


def refused(folder: Path, file: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(folder, few_step={"adapter": file, "use": "drafts"})
    assert refusal.value.param == "model.few_step.adapter"
    assert file.stem not in refusal.value.message


def test_files_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "secret.safetensors"
    refused(folder, file)
    file.write_bytes(b"not safetensors")
    refused(folder, file)
    weights, _ = trained(load(folder).pipeline.transformer, 1)
    save_with_alphas(file, {key: it[..., :3] for key, it in weights.items()}, 1.0)
    refused(folder, file)


def few_step(use: str) -> dict[str, Any]:
    return {"adapter": "miniature", "use": use}


def test_a_gguf_file_takes_drafts_and_no_fused_adapter(tmp_path: Path) -> None:
    memory = {"gguf": tmp_path / "b.gguf"}
    made = ModelConfig.model_validate({"few_step": few_step("drafts"), "memory": memory})
    assert made.drafts == FewStepConfig.model_validate(few_step("drafts"))
    with pytest.raises(ValidationError, match="use: drafts"):
        ModelConfig.model_validate({"few_step": few_step("always"), "memory": memory})


def test_compiled_blocks_take_a_fused_adapter_and_no_drafts() -> None:
    engine = {"acceleration": {"compile": True}}
    ServiceConfig.model_validate({"model": {"few_step": few_step("always")}, "engine": engine})
    with pytest.raises(ValidationError, match="use: drafts"):
        ServiceConfig.model_validate({"model": {"few_step": few_step("drafts")}, "engine": engine})
