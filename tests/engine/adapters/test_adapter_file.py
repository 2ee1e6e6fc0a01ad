"""Adapter files that don't fit, and what the folder may hold."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from serve_app.config import AdaptersConfig
from serve_app.edits.request import LoraUse
from serve_app.engine.adapters import Adapters
from serve_app.errors import ConfigurationError, UnusableAdapter
from tests.engine.adapters.pipelines import (
    A,
    forward,
    shape_of,
)

# What doesn't fit.


def _with(tensors: dict[str, torch.Tensor], **changes: torch.Tensor | None) -> Any:
    changed = {**tensors, **changes}
    return {key: it for key, it in changed.items() if it is not None}


Q = "transformer.transformer_blocks.0.attn.to_q.lora_A.weight"
Q_UP = Q.replace("lora_A", "lora_B")
ONE = torch.ones(1, 1)
MISFITS: dict[str, dict[str, torch.Tensor | None]] = {
    "another model": {Q.replace("transformer_blocks.0", "transformer_blocks.7"): ONE},
    "text encoder": {"text_encoder.layers.0.self_attn.q_proj.lora_A.weight": ONE},
    "kohya's text encoder": {"lora_te_text_model_layers_0_q.lora_down.weight": ONE},
    "unknown prefix": {"unet.transformer_blocks.0.attn.to_q.lora_A.weight": ONE},
    "a layer that is not linear": {"transformer.txt_norm.lora_A.weight": ONE},
    "DoRA": {"transformer.transformer_blocks.0.attn.to_q.dora_scale": ONE},
    "LoKr": {"transformer.transformer_blocks.0.attn.to_q.lokr_w1": ONE},
    "bias": {Q_UP.replace("weight", "bias"): torch.ones(48)},
    "whole weights": {"transformer.proj_out.weight": torch.ones(64, 48)},
    "twice": {Q.replace("lora_A", "lora_down"): torch.ones(4, 48)},
    "half missing": {Q_UP: None},
    "inputs": {Q: torch.ones(4, 49)},
    "outputs": {Q_UP: torch.ones(47, 4)},
    "ranks": {Q: torch.ones(5, 48)},
    "rank 0": {Q: torch.ones(0, 48), Q_UP: torch.ones(48, 0)},
    "a vector": {Q: torch.ones(48)},
    "alpha of several": {Q.replace("lora_A.weight", "alpha"): torch.ones(2)},
}


@pytest.mark.parametrize("change", MISFITS.values(), ids=MISFITS)
def test_a_file_that_doesn_t_fit_is_refused_whole(
    pipeline: Any, folder: Path, tmp_path: Path, change: dict[str, torch.Tensor | None]
) -> None:
    save_file(_with(load_file(folder / "a.safetensors"), **change), tmp_path / "it.safetensors")
    plain, shape = forward(pipeline), shape_of(pipeline)
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    assert adapters.descriptions == ()
    for ask in (adapters.check, adapters.hold, adapters.activate):
        with pytest.raises(UnusableAdapter, match="does not fit") as raised:
            ask(LoraUse("it"))
        assert raised.value.param == "lora"
        assert raised.value.status == 422
    assert shape_of(pipeline) == shape
    assert torch.equal(forward(pipeline), plain)


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04K\x01.", b"\xff" * 64], ids=["empty", "pickle", "noise"]
)
def test_a_file_that_is_no_safetensors_is_refused(
    pipeline: Any, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "it.safetensors").write_bytes(content)
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    with pytest.raises(UnusableAdapter):
        adapters.check(LoraUse("it"))


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_refused(
    pipeline: Any, folder: Path, tmp_path: Path, number: float
) -> None:
    tensors = load_file(folder / "a.safetensors")
    tensors[Q][0, 0] = number
    save_file(tensors, tmp_path / "it.safetensors")
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    shape = shape_of(pipeline)
    for ask in (lambda: adapters.read("it"), lambda: adapters.activate(LoraUse("it"))):
        with pytest.raises(UnusableAdapter):
            ask()
    assert shape_of(pipeline) == shape


@pytest.mark.parametrize(
    "metadata",
    [
        "not JSON",
        "[]",
        json.dumps({"transformer.lora_alpha": "much"}),
        json.dumps({"transformer.alpha_pattern": {"(": 1}}),
        json.dumps({"transformer.alpha_pattern": ["to_q"]}),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    pipeline: Any, folder: Path, tmp_path: Path, metadata: str
) -> None:
    save_file(
        load_file(folder / "a.safetensors"),
        tmp_path / "it.safetensors",
        {"lora_adapter_metadata": metadata},
    )
    with pytest.raises(UnusableAdapter):
        Adapters(pipeline, AdaptersConfig(folder=tmp_path)).read("it")


def test_settings_can_t_change_the_model(pipeline: Any, folder: Path, tmp_path: Path) -> None:
    """peft would repeat layers, retrain biases or initialize from the base weights for these."""
    hostile = {
        "transformer.r": 4,
        "transformer.lora_alpha": 4,
        "transformer.layer_replication": [[0, 2], [0, 2]],
        "transformer.bias": "all",
        "transformer.init_lora_weights": "pissa",
        "transformer.modules_to_save": ["proj_out"],
    }
    save_file(
        load_file(folder / "a.safetensors"),
        tmp_path / "it.safetensors",
        {"lora_adapter_metadata": json.dumps(hostile)},
    )
    Adapters(pipeline, AdaptersConfig(folder=folder)).activate(A)
    expected = forward(pipeline)
    own = copy.copy(pipeline)
    own.transformer = copy.deepcopy(pipeline.transformer)
    own.transformer.unload_lora()
    Adapters(own, AdaptersConfig(folder=tmp_path)).activate(LoraUse("it"))
    assert torch.equal(forward(own), expected)


# The folder.


def test_only_names_found_at_the_scan_are_opened(
    pipeline: Any, adapters: Adapters, folder: Path
) -> None:
    for name in ("", "A", "../a", str(folder / "a"), "a.safetensors", "a\0", "b/v1-x", "*"):
        for ask in (adapters.check, adapters.hold, adapters.activate):
            with pytest.raises(UnusableAdapter, match="no adapter of this name"):
                ask(LoraUse(name))
        with pytest.raises(UnusableAdapter):
            adapters.read(name)
        with pytest.raises(UnusableAdapter):
            adapters.has_room(name)


def test_without_a_folder_there_are_none(pipeline: Any) -> None:
    adapters = Adapters(pipeline, AdaptersConfig())
    adapters.activate(None)
    assert adapters.descriptions == ()
    with pytest.raises(UnusableAdapter):
        adapters.check(A)


def test_a_folder_that_is_not_there_stops_the_start(pipeline: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Adapters(pipeline, AdaptersConfig(folder=tmp_path / "none"))
    assert raised.value.param == "model.adapters.folder"


@pytest.mark.parametrize("name", ["with space", "ü", "-x", "a" * 129])
def test_a_name_that_can_t_be_asked_for_stops_the_start(
    pipeline: Any, folder: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / f"{name}.safetensors").symlink_to(folder / "a.safetensors")
    with pytest.raises(ConfigurationError, match="letters, digits"):
        Adapters(pipeline, AdaptersConfig(folder=tmp_path))


def test_an_adapter_larger_than_the_memory_stops_the_start(pipeline: Any, folder: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Adapters(pipeline, AdaptersConfig(folder=folder, memory_bytes=1000))
    assert raised.value.param == "model.adapters.memory_bytes"


def test_links_count_and_other_files_don_t(pipeline: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked.safetensors").symlink_to(folder / "a.safetensors")
    (tmp_path / ".unfinished.safetensors").write_bytes(b"")
    (tmp_path / "weights.bin").write_bytes(b"")
    (tmp_path / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    (tmp_path / "below.safetensors").mkdir()
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    assert [it.name for it in adapters.descriptions] == ["linked"]
    adapters.activate(LoraUse("linked"))


def test_a_file_that_changed_since_the_start_is_refused_until_the_next(
    pipeline: Any, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "it.safetensors"
    path.write_bytes((folder / "a.safetensors").read_bytes())
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    tensors = load_file(path)
    tensors[Q] = tensors[Q] + 1
    save_file(tensors, path)
    for _ in ("changed", "deleted"):
        with pytest.raises(UnusableAdapter, match="changed"):
            adapters.read("it")
        with pytest.raises(UnusableAdapter, match="changed"):
            adapters.activate(LoraUse("it"))
        path.unlink(missing_ok=True)


def test_what_was_read_ahead_needs_no_file_any_more(
    pipeline: Any, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "it.safetensors"
    path.write_bytes((folder / "a.safetensors").read_bytes())
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    plain = forward(pipeline)
    adapters.read("it")
    path.unlink()
    adapters.activate(LoraUse("it"))
    assert not torch.equal(forward(pipeline), plain)
