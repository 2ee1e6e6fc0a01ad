"""Every memory mode loads and edits; what changes pixels stays close, and changes the revision."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.hooks.group_offloading import _is_group_offload_enabled
from pydantic import ValidationError

from benchmarks.gguf_file import write_gguf
from serve_app.config import EngineConfig, MemoryConfig, ModelConfig
from serve_app.edits.job import EditJob
from serve_app.edits.request import LoraUse
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint, load_checkpoint
from serve_app.engine.miniature.create import create_miniature
from serve_app.engine.placement import place
from serve_app.engine.quantization import load_reduced_transformer, quantize
from serve_app.errors import ConfigurationError
from serve_app.images.pixels import RGB
from tests.engine.lora_files import save_as_diffusers, trained
from tests.engine.tasks import CONDITION_AREA, photo

SIDE = 128
# Largest difference of a pixel, of 255 levels, that a mode may make on the miniature: a few
# times what `python -m benchmarks.memory_modes` measures.
EXACT, EIGHT_BITS, FLOAT8 = 0, 4, 20
MODES: dict[str, tuple[dict[str, Any], int]] = {
    "model": ({"offload": "model"}, EXACT),
    "group": ({"offload": "group"}, EXACT),
    "slicing": ({"vae_slicing": True}, EXACT),
    "float8 storage": ({"float8_storage": True}, FLOAT8),
    "int8": ({"quantization": "int8"}, EIGHT_BITS),
    "float8": ({"quantization": "float8"}, FLOAT8),
    "gguf": ({"gguf": "given"}, EIGHT_BITS),
    "int8, model": ({"quantization": "int8", "offload": "model"}, EIGHT_BITS),
    "int8, group": ({"quantization": "int8", "offload": "group"}, EIGHT_BITS),
    "float8 storage, group": ({"float8_storage": True, "offload": "group"}, FLOAT8),
    "gguf, model": ({"gguf": "given", "offload": "model"}, EIGHT_BITS),
    "gguf, group": ({"gguf": "given", "offload": "group"}, EIGHT_BITS),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory") / "plus"
    create_miniature(folder)
    return folder


@pytest.fixture(scope="module")
def gguf_file(folder: Path) -> Path:
    file = folder.parent / "transformer.gguf"
    assert write_gguf(folder / "transformer", file) > 0
    return file


@dataclass(frozen=True)
class Plain:
    """Everything on the device, and what it makes."""

    checkpoint: Checkpoint
    edited: RGB


@pytest.fixture(scope="module")
def plain(folder: Path) -> Plain:
    checkpoint = load(folder)
    edited = asyncio.run(edit(checkpoint))
    assert edited.std() > 5  # a flat image would be near every other
    return Plain(checkpoint, edited)


def load(folder: Path, memory: dict[str, Any] | None = None, **changes: Any) -> Checkpoint:
    config = ModelConfig(
        checkpoint=str(folder),
        device="cpu",
        vae_area=SIDE * SIDE,
        condition_area=CONDITION_AREA,
        memory=MemoryConfig.model_validate(memory or {}),
        **changes,
    )
    return load_checkpoint(config)


def with_file(memory: dict[str, Any], gguf_file: Path) -> dict[str, Any]:
    return memory | {"gguf": gguf_file} if "gguf" in memory else memory


@contextmanager
def running(checkpoint: Checkpoint) -> Iterator[Engine]:
    engine = Engine(checkpoint, EngineConfig(max_batch_size=2))
    try:
        yield engine
    finally:
        engine.close()


async def edit(checkpoint: Checkpoint, side: int = SIDE) -> RGB:
    with running(checkpoint) as engine:
        job = EditJob((photo(1, side, side),), "let it snow", " ", 4.0, 3, 5)
        edited = await engine.edit(job)
    assert edited.finite
    return edited.pixels


def difference(one: RGB, other: RGB) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


# Every mode edits


@pytest.mark.parametrize("name", MODES)
async def test_a_mode_edits_as_everything_on_the_device_does(
    folder: Path, gguf_file: Path, plain: Plain, name: str
) -> None:
    memory, tolerance = MODES[name]
    checkpoint = load(folder, with_file(memory, gguf_file))
    got = await edit(checkpoint)
    assert difference(got, plain.edited) <= tolerance
    # Results are cached by the revision, on disk too: none may outlive the mode that made it.
    revision, usual = (it.description.revision for it in (checkpoint, plain.checkpoint))
    assert revision.startswith(usual)
    assert (revision == usual) == (tolerance == EXACT)
    # Weights that came and went, or were cast and cast back, are what they were.
    np.testing.assert_array_equal(await edit(checkpoint), got)


@pytest.mark.parametrize("offload", ["none", "model", "group"])
def test_the_engine_is_told_who_shares_the_device(folder: Path, offload: str) -> None:
    checkpoint = load(folder, {"offload": offload})
    assert checkpoint.exclusive == (offload != "none")
    assert checkpoint.pipeline._execution_device == torch.device("cpu")


async def test_tiles_change_a_large_canvas_a_little(folder: Path) -> None:
    large = {"vae_area": 320 * 320}
    config = ModelConfig(checkpoint=str(folder), device="cpu", condition_area=CONDITION_AREA)
    whole = load_checkpoint(config.model_copy(update=large))
    tiles = MemoryConfig(vae_tiling=True)
    tiled = load_checkpoint(config.model_copy(update={**large, "memory": tiles}))
    one, other = await edit(whole, 320), await edit(tiled, 320)
    assert 0 < np.abs(one.astype(int) - other.astype(int)).mean() < 8
    assert tiled.description.revision != whole.description.revision


@pytest.mark.parametrize(
    ("memory", "tolerance"),
    [
        ({"offload": "model"}, 0.0),
        ({"offload": "group"}, 0.0),
        ({"gguf": "given"}, 0.1),
        ({"quantization": "int8"}, 0.1),
        ({"float8_storage": True}, 0.5),
        ({"quantization": "float8"}, 0.5),
    ],
)
def test_adapters_come_and_go_in_a_mode(
    folder: Path, gguf_file: Path, tmp_path: Path, memory: dict[str, Any], tolerance: float
) -> None:
    transformer = load(folder).pipeline.transformer
    save_as_diffusers(tmp_path / "snow.safetensors", *trained(transformer, 1))
    everything = load(folder, adapters={"folder": tmp_path})
    checkpoint = load(folder, with_file(memory, gguf_file), adapters={"folder": tmp_path})
    assert [each.name for each in checkpoint.description.adapters] == ["snow"]
    adapted, without = (velocity(everything, use) for use in (LoraUse("snow", 1.0), None))
    for _ in range(2):
        for use, expected in ((LoraUse("snow", 1.0), adapted), (None, without)):
            error = (velocity(checkpoint, use) - expected).abs().max()
            assert error <= tolerance * (adapted - without).abs().max()


@torch.no_grad()
def velocity(checkpoint: Checkpoint, use: LoraUse | None) -> torch.Tensor:
    checkpoint.adapters.activate(use)
    generator = torch.Generator().manual_seed(0)
    output: torch.Tensor = checkpoint.pipeline.transformer(
        hidden_states=torch.randn(1, 32, 64, generator=generator),
        timestep=torch.tensor([0.5]),
        encoder_hidden_states=torch.randn(1, 7, 64, generator=generator),
        img_shapes=[[(1, 4, 4), (1, 4, 4)]],
        return_dict=False,
    )[0]
    return output


# What the modes hold


def test_eight_bits_hold_a_quarter_of_float32(folder: Path, plain: Plain) -> None:
    name = "transformer_blocks.0.attn.to_q"
    full = plain.checkpoint.pipeline.transformer.get_submodule(name).weight
    int8 = load(folder, {"quantization": "int8"}).pipeline.transformer.get_submodule(name).weight
    assert int8.qdata.nbytes * 4 == full.nbytes
    stored = load(folder, {"float8_storage": True}).pipeline.transformer.get_submodule(name)
    assert stored.weight.nbytes * 4 == full.nbytes


@pytest.mark.parametrize("kind", ["int8", "float8"])
def test_quantized_after_loading_or_while_loading_is_the_same(folder: Path, kind: Any) -> None:
    memory = MemoryConfig(quantization=kind)
    loaded = load_reduced_transformer(str(folder), None, torch.float32, memory)
    later = load(folder).pipeline.transformer
    quantize(later, kind)
    weights = dict(later.named_parameters())
    for name, weight in loaded.named_parameters():
        if hasattr(weight, "qdata"):
            assert torch.equal(weight.qdata.float(), weights[name].qdata.float())
            assert torch.equal(weight.scale, weights[name].scale)


def test_group_offloading_is_on_the_two_large_models_only(folder: Path) -> None:
    pipeline = load(folder, {"offload": "group"}).pipeline
    assert _is_group_offload_enabled(pipeline.transformer)
    assert _is_group_offload_enabled(pipeline.text_encoder)
    assert not _is_group_offload_enabled(pipeline.vae)


class _Logged(torch.nn.Module):
    """Writes down every move between devices: on a CPU nothing else shows it."""

    def __init__(self, name: str, moves: list[tuple[str, str]]) -> None:
        super().__init__()
        self.name, self.moves = name, moves

    def to(self, device: Any, *_: Any, **__: Any) -> _Logged:
        self.moves.append((self.name, torch.device(device).type))
        return self

    def forward(self) -> str:
        return self.name


def test_models_take_turns_in_whatever_order_they_run() -> None:
    moves: list[tuple[str, str]] = []
    parts = {name: _Logged(name, moves) for name in ("vae", "text_encoder", "transformer")}
    pipeline = SimpleNamespace(**parts)
    place(pipeline, MemoryConfig(offload="model"), torch.device("meta"), torch.float32)
    on_device = {"vae"}
    for name in ("text_encoder", "transformer", "transformer", "text_encoder", "transformer"):
        moves.clear()
        assert parts[name]() == name
        for moved, device in moves:
            (on_device.add if device == "meta" else on_device.discard)(moved)
            assert not {"text_encoder", "transformer"} <= on_device
        assert on_device == {"vae", name}


# Refused


@pytest.mark.parametrize(
    "memory",
    [
        {"quantization": "int8", "gguf": "x.gguf"},
        {"quantization": "float8", "float8_storage": True},
        {"gguf": "x.gguf", "float8_storage": True},
    ],
)
def test_two_formats_at_once_are_refused(memory: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="choose one of") as refusal:
        MemoryConfig.model_validate(memory)
    assert "x.gguf" not in refusal.value.errors()[0]["msg"]


@pytest.mark.parametrize("content", [None, b"", b"no GGUF at all"])
def test_an_unusable_gguf_file_is_refused(
    folder: Path, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "secret.gguf"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError) as refusal:
        load(folder, {"gguf": file})
    assert refusal.value.param == "model.memory.gguf"
    assert "secret" not in refusal.value.message


def test_a_gguf_file_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    write_gguf(folder / "vae", tmp_path / "vae.gguf")
    with pytest.raises(ConfigurationError) as refusal:
        load(folder, {"gguf": tmp_path / "vae.gguf"})
    assert refusal.value.param == "model.memory.gguf"


@pytest.mark.parametrize(
    ("package", "memory"), [("torchao", {"quantization": "int8"}), ("gguf", {"gguf": "given"})]
)
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    folder: Path,
    gguf_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    memory: dict[str, Any],
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"{package}.*\[quantized\]"):
        load(folder, with_file(memory, gguf_file))
