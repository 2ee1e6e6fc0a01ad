"""LoRA adapters on the miniature: exact on, exact off, and never half on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from serve_app.config import AdaptersConfig
from serve_app.edits.request import LoraUse
from serve_app.engine.adapters import Adapters
from serve_app.engine.load import Checkpoint
from tests.engine.adapters.pipelines import (
    WIDE,
    A,
    B,
    alone,
    forward,
    fresh,
    shape_of,
    with_dense_change,
    with_dense_change_of,
)
from tests.engine.lora_files import (
    ATTENTION,
    EVERYWHERE,
    save_as_diffusers,
    save_as_kohya,
    save_bare,
    save_with_alphas,
    trained,
)


def test_descriptions_name_the_files_and_their_bytes_on_the_device(
    adapters: Adapters, folder: Path
) -> None:
    a, b, wide = adapters.descriptions
    assert [a.name, b.name, wide.name] == ["a", "b.v1-x", "wide"]
    for one in (a, b, wide):
        tensors = load_file(folder / f"{one.name}.safetensors")
        assert one.nbytes == sum(4 * it.numel() for it in tensors.values())
        assert one.revision.startswith("sha256-")
        assert len(one.revision) == len("sha256-") + 16
    assert len({a.revision, b.revision, wide.revision}) == 3


@pytest.mark.parametrize("use", [A, B, WIDE])
def test_an_adapter_gives_what_stock_diffusers_gives(
    pipeline: Any, adapters: Adapters, plus: Checkpoint, folder: Path, use: LoraUse
) -> None:
    stock = fresh(plus)
    if use is B:  # its keys have no prefix, which the stock loader only warns about
        tensors = load_file(folder / f"{use.name}.safetensors")
        stock.load_lora_weights(
            {f"transformer.{key}": it for key, it in tensors.items()}, adapter_name="it"
        )
    else:
        stock.load_lora_weights(folder, weight_name=f"{use.name}.safetensors", adapter_name="it")
    stock.set_adapters("it", use.scale)
    adapters.activate(use)
    assert torch.equal(forward(pipeline), forward(stock))


@pytest.mark.parametrize("prefix", ["", "transformer.", "diffusion_model.", "base_model.model."])
def test_every_key_convention_gives_the_same(
    pipeline: Any, plus: Checkpoint, tmp_path: Path, prefix: str
) -> None:
    weights, _ = trained(plus.pipeline.transformer, 5)
    save_bare(tmp_path / "it.safetensors", weights, prefix)
    expected = with_dense_change(pipeline, weights, 0.5)
    Adapters(pipeline, AdaptersConfig(folder=tmp_path)).activate(LoraUse("it", 0.5))
    torch.testing.assert_close(forward(pipeline), expected)


@pytest.mark.parametrize("save", [save_as_kohya, save_with_alphas])
def test_alpha_tensors_count(
    pipeline: Any, plus: Checkpoint, tmp_path: Path, save: Callable[..., None]
) -> None:
    weights, _ = trained(plus.pipeline.transformer, 6, rank=4, targets=EVERYWHERE)
    save(tmp_path / "it.safetensors", weights, 1.0)
    expected = with_dense_change(pipeline, weights, 1.0 / 4)
    stock = fresh(plus)
    stock.load_lora_weights(tmp_path, weight_name="it.safetensors", adapter_name="it")
    Adapters(pipeline, AdaptersConfig(folder=tmp_path)).activate(LoraUse("it"))
    torch.testing.assert_close(forward(pipeline), expected)
    torch.testing.assert_close(forward(pipeline), forward(stock))


def test_rank_and_alpha_patterns_and_rslora_count(
    pipeline: Any, plus: Checkpoint, tmp_path: Path
) -> None:
    weights, config = trained(
        plus.pipeline.transformer,
        7,
        rank=4,
        lora_alpha=2,
        rank_pattern={"to_q": 8, "transformer_blocks.0.attn.to_k": 1},
        alpha_pattern={"to_q": 3},
        use_rslora=True,
    )
    save_as_diffusers(tmp_path / "it.safetensors", weights, config)
    ranks = {len(it) for key, it in weights.items() if "lora_A" in key}
    assert ranks == {1, 4, 8}
    stock = fresh(plus)
    stock.load_lora_weights(tmp_path, weight_name="it.safetensors", adapter_name="it")
    Adapters(pipeline, AdaptersConfig(folder=tmp_path)).activate(LoraUse("it"))
    torch.testing.assert_close(forward(pipeline), forward(stock))


def test_scale_zero_equals_none_and_the_scale_is_that_of_the_change(
    pipeline: Any, adapters: Adapters, folder: Path
) -> None:
    plain = forward(pipeline)
    adapters.activate(LoraUse("a", 0.0))
    assert torch.equal(forward(pipeline), plain)
    tensors = load_file(folder / "a.safetensors")
    weights = {key.removeprefix("transformer."): it for key, it in tensors.items()}
    for scale in (1.0, -1.0, 0.25, 4.0):
        adapters.activate(LoraUse("a", scale))
        with_it = forward(pipeline)
        adapters.activate(None)
        torch.testing.assert_close(with_it, with_dense_change_of(pipeline, weights, scale))


# Beside others, and after.


def test_requests_with_and_without_adapters_don_t_touch_each_other(
    adapters: Adapters, pipeline: Any, plus: Checkpoint, folder: Path
) -> None:
    uses = (None, A, B, WIDE, LoraUse("a", -2.0))
    alone = {}
    for use in uses:
        own = fresh(plus)
        Adapters(own, AdaptersConfig(folder=folder)).activate(use)
        alone[use] = forward(own)
    assert len({it.sum().item() for it in alone.values()}) == len(uses)
    for use in (A, None, B, A, WIDE, None, LoraUse("a", -2.0), A, B, None):
        adapters.activate(use)
        assert torch.equal(forward(pipeline), alone[use])


def test_nothing_is_left_of_an_adapter_that_was_dropped(pipeline: Any, folder: Path) -> None:
    plain = forward(pipeline)
    adapters = alone(pipeline, folder, "a")
    adapters.activate(A)
    with_a, with_a_shape = forward(pipeline), shape_of(pipeline)
    adapters.activate(B)  # drops a
    assert not torch.equal(forward(pipeline), with_a)
    assert not any("adapter_0000" in key for key in shape_of(pipeline)[1])
    adapters.activate(None)
    assert torch.equal(forward(pipeline), plain)
    adapters.activate(A)
    assert torch.equal(forward(pipeline), with_a)
    assert shape_of(pipeline) == with_a_shape


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_grad_mode_of_the_device_thread_doesn_t_matter(
    pipeline: Any, adapters: Adapters, mode: Callable[[], Any]
) -> None:
    plain = forward(pipeline)
    adapters.activate(B)
    with mode():
        adapters.activate(A)
        with_a = forward(pipeline)
    adapters.activate(WIDE)
    adapters.activate(None)
    assert torch.equal(forward(pipeline), plain)
    adapters.activate(A)
    assert torch.equal(forward(pipeline), with_a)
    assert not torch.equal(with_a, plain)


# Memory modes.


def _float8(transformer: Any) -> Any:
    transformer.enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32
    )
    return transformer


def _int8(transformer: Any) -> Any:
    quantization = pytest.importorskip("torchao.quantization")
    quantization.quantize_(transformer.transformer_blocks, quantization.Int8WeightOnlyConfig())
    return transformer


def _groups(transformer: Any) -> Any:
    cpu = torch.device("cpu")
    transformer.enable_group_offload(cpu, offload_type="block_level", num_blocks_per_group=1)
    return transformer


@pytest.mark.parametrize("reduce", [_float8, _int8, _groups])
def test_memory_modes_keep_adapters_exact(
    pipeline: Any, plus: Checkpoint, folder: Path, reduce: Callable[[Any], Any]
) -> None:
    """On and off the base gives what it gave; the adapter's own weights are not rounded."""
    pipeline.transformer = reduce(pipeline.transformer)
    plain = forward(pipeline)
    adapters = Adapters(pipeline, AdaptersConfig(folder=folder))
    for use in (A, WIDE, None, A):
        adapters.activate(use)
        assert torch.equal(forward(pipeline), plain) == (use is None)
    there = {
        key.replace(".adapter_0000", ""): it
        for key, it in pipeline.transformer.state_dict().items()
        if ".adapter_0000" in key
    }
    file = load_file(folder / "a.safetensors")
    assert there.keys() == {key.removeprefix("transformer.") for key in file}
    for key, weight in there.items():
        assert torch.equal(weight, file[f"transformer.{key}"])


def test_adapters_take_the_transformer_s_number_format(pipeline: Any, folder: Path) -> None:
    full = Adapters(pipeline, AdaptersConfig(folder=folder)).descriptions
    pipeline.transformer.to(torch.bfloat16)
    adapters = Adapters(pipeline, AdaptersConfig(folder=folder))
    assert [2 * it.nbytes for it in adapters.descriptions] == [it.nbytes for it in full]
    adapters.activate(A)
    assert {it.dtype for it in pipeline.transformer.parameters()} == {torch.bfloat16}
    assert adapters.loaded_bytes == adapters.descriptions[0].nbytes


def test_attention_only_adapters_leave_the_rest_alone(pipeline: Any, adapters: Adapters) -> None:
    adapters.activate(A)
    changed = {
        key.split(".base_layer.")[0]
        for key in pipeline.transformer.state_dict()
        if ".base_layer." in key
    }
    assert changed
    assert all(name.endswith(ATTENTION) for name in changed)
