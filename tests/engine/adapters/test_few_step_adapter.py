"""The adapter of drafts stays on the transformer, alone or with one that a request names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.config import AdaptersConfig
from serve_app.edits.request import LoraUse
from serve_app.engine.adapter_file import Misfit
from serve_app.engine.adapters import Adapters
from serve_app.engine.load import Checkpoint
from serve_app.errors import UnusableAdapter
from tests.engine.adapters.pipelines import WIDE, A, B, forward, fresh, shape_of, with_dense_change
from tests.engine.lora_files import save_with_alphas, trained

SCALE = 0.8
STRENGTH = SCALE * 2 / 4
"""Scale, times alpha 2 over rank 4."""

TARGETS = ("to_q", "txt_mlp.net.2")
"""Some layers that the folder's adapters change too, and some that only the widest does."""


@pytest.fixture(scope="module")
def weights(plus: Checkpoint) -> dict[str, torch.Tensor]:
    return trained(plus.pipeline.transformer, 21, targets=TARGETS)[0]


@pytest.fixture(scope="module")
def content(weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("few_step") / "few_step.safetensors"
    save_with_alphas(file, weights, 2.0)
    return file.read_bytes()


def with_few_step(pipeline: Any, folder: Path, content: bytes, room_for: str = "") -> Adapters:
    """Adapters of a folder beside that of drafts; with room for one of them, or for all."""
    sizes = {
        it.name: it.nbytes for it in Adapters(pipeline, AdaptersConfig(folder=folder)).descriptions
    }
    budget = sizes.get(room_for, sum(sizes.values()))
    adapters = Adapters(pipeline, AdaptersConfig(folder=folder, memory_bytes=budget))
    adapters.keep_few_step(content, SCALE)
    return adapters


def test_it_is_off_until_it_is_asked_for(
    pipeline: Any, folder: Path, content: bytes, weights: dict[str, torch.Tensor]
) -> None:
    plain, expected = forward(pipeline), with_dense_change(pipeline, weights, STRENGTH)
    adapters = with_few_step(pipeline, folder, content)
    assert torch.equal(forward(pipeline), plain)
    for _ in range(2):
        adapters.activate(None, few_step=True)
        torch.testing.assert_close(forward(pipeline), expected)
        adapters.activate(None)
        assert torch.equal(forward(pipeline), plain)


def test_both_at_once_are_the_sum_of_their_changes(
    pipeline: Any, folder: Path, content: bytes, plus: Checkpoint, weights: dict[str, torch.Tensor]
) -> None:
    named = fresh(plus)
    Adapters(named, AdaptersConfig(folder=folder)).activate(B)
    named.transformer.fuse_lora(safe_fusing=True)
    named.transformer.unload_lora()
    expected = with_dense_change(named, weights, STRENGTH)
    adapters = with_few_step(pipeline, folder, content)
    adapters.activate(B, few_step=True)
    torch.testing.assert_close(forward(pipeline), expected)


def test_it_stays_when_others_make_room_for_each_other(
    pipeline: Any, folder: Path, content: bytes
) -> None:
    adapters = with_few_step(pipeline, folder, content, room_for="wide")
    shape = shape_of(pipeline)
    pictures = []
    for _ in range(2):
        for use in (WIDE, A):  # each drops the other
            adapters.activate(use, few_step=True)
            pictures.append(forward(pipeline))
        adapters.activate(None, few_step=True)
        pictures.append(forward(pipeline))
    assert all(
        torch.equal(one, other) for one, other in zip(pictures[:3], pictures[3:], strict=True)
    )
    there = {key.split(".")[-2] for key in shape_of(pipeline)[1] if ".lora_A." in key}
    assert there == {"few_step", "adapter_0000"}
    assert {name for name in shape[1] if ".lora_" in name} <= set(shape_of(pipeline)[1])


def test_its_bytes_are_beside_those_of_the_others(
    pipeline: Any, folder: Path, content: bytes, weights: dict[str, torch.Tensor]
) -> None:
    before = sum(it.nbytes for it in pipeline.transformer.parameters())
    adapters = Adapters(pipeline, AdaptersConfig(folder=folder))
    nbytes = adapters.keep_few_step(content, SCALE)
    assert nbytes == sum(it.nbytes for it in weights.values())
    assert sum(it.nbytes for it in pipeline.transformer.parameters()) - before == nbytes
    assert adapters.loaded_bytes == 0


def test_what_can_not_be_activated_leaves_neither_on(
    pipeline: Any, folder: Path, content: bytes
) -> None:
    plain = forward(pipeline)
    adapters = with_few_step(pipeline, folder, content)
    adapters.activate(A, few_step=True)
    with pytest.raises(UnusableAdapter):
        adapters.activate(LoraUse("nobody"), few_step=True)
    assert torch.equal(forward(pipeline), plain)


def test_an_adapter_of_another_model_leaves_the_transformer_as_it_was(
    pipeline: Any, folder: Path, tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    shape = shape_of(pipeline)
    file = tmp_path / "narrow.safetensors"
    save_with_alphas(file, {key: it[..., :3] for key, it in weights.items()}, 2.0)
    adapters = Adapters(pipeline, AdaptersConfig(folder=folder))
    with pytest.raises(Misfit):
        adapters.keep_few_step(file.read_bytes(), SCALE)
    assert shape_of(pipeline) == shape


Switch = tuple[LoraUse | None, bool]
SWITCHES = st.tuples(st.sampled_from([None, A, B, WIDE, LoraUse("a", -2.0)]), st.booleans())


def test_any_order_of_switching_gives_what_a_new_transformer_gives(
    plus: Checkpoint, pipeline: Any, folder: Path, content: bytes
) -> None:
    adapters = with_few_step(pipeline, folder, content, room_for="wide")
    alone: dict[Switch, torch.Tensor] = {}

    def expected(switch: Switch) -> torch.Tensor:
        if switch not in alone:
            own = fresh(plus)
            with_few_step(own, folder, content).activate(*switch)
            alone[switch] = forward(own)
        return alone[switch]

    @given(order=st.lists(SWITCHES, max_size=12))
    @settings(max_examples=20, deadline=None)
    def check(order: list[Switch]) -> None:
        for switch in order:
            adapters.activate(*switch)
            assert torch.equal(forward(pipeline), expected(switch))

    check()
