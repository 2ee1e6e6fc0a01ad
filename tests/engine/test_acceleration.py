"""Speed options: compiled blocks and other attention give the same velocities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve_app.config import AccelerationConfig, ModelConfig, ServiceConfig
from serve_app.engine.acceleration import accelerate_transformer, warm_up_canvases
from serve_app.engine.load import load_checkpoint
from serve_app.engine.miniature.create import create_miniature
from serve_app.errors import ConfigurationError
from tests.engine.forwards import forward
from tests.engine.tasks import CONDITION_AREA


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("acceleration") / "plus"
    create_miniature(folder)
    return folder


def load(folder: Path, **memory: Any) -> Any:
    """A pipeline that a test may change."""
    config = ModelConfig.model_validate(
        {
            "checkpoint": str(folder),
            "device": "cpu",
            "condition_area": CONDITION_AREA,
            "memory": memory,
        }
    )
    return load_checkpoint(config).pipeline


def velocity(transformer: Any, rows: int, side: int, lengths: tuple[int, ...]) -> torch.Tensor:
    """One forward of ``rows`` canvases of ``side`` tokens square, with one reference each."""
    generator = torch.Generator().manual_seed(side)
    latents = torch.randn(rows, 2 * side**2, 64, generator=generator)
    texts = torch.randn(rows, max(lengths), 64, generator=generator)
    differ = len(set(lengths)) > 1
    how = {"text_lengths": torch.tensor(lengths) if differ else None}
    return forward(transformer, side, latents, texts, attention_kwargs=how)


# Compilation


def test_compiled_blocks_compute_the_same_at_every_size_and_prompt_length(folder: Path) -> None:
    """A real compilation, of one block and one row: a graph takes half a minute to build."""
    pipeline = load(folder)
    transformer = pipeline.transformer
    transformer.transformer_blocks = transformer.transformer_blocks[:1]
    cases = [(4, (7,)), (8, (9,)), (6, (31,))]
    expected = [velocity(transformer, 1, side, lengths) for side, lengths in cases]
    accelerate_transformer(pipeline, AccelerationConfig(compile=True))
    torch._dynamo.reset()
    for (side, lengths), eager in zip(cases, expected, strict=True):
        compiled = velocity(transformer, 1, side, lengths)
        torch.testing.assert_close(compiled, eager, atol=1e-5, rtol=1e-5)
        # Compiled once, for all of them.
        with torch.compiler.set_stance("fail_on_recompile"):
            velocity(transformer, 1, side + 2, (lengths[0] + 3,))


@pytest.mark.slow
def test_compiled_batches_of_all_kinds_compute_the_same(folder: Path) -> None:
    pipeline = load(folder)
    kinds = [(1, 4, (7,)), (2, 4, (9, 9)), (3, 6, (9, 5, 12)), (5, 4, (8,) * 5), (1, 6, (12,))]
    expected = [velocity(pipeline.transformer, *kind) for kind in kinds]
    accelerate_transformer(pipeline, AccelerationConfig(compile=True))
    for kind, eager in zip(kinds, expected, strict=True):
        compiled = velocity(pipeline.transformer, *kind)
        torch.testing.assert_close(compiled, eager, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("memory", [{"offload": "group"}, {"float8_storage": True}])
def test_blocks_whose_weights_come_and_go_are_not_compiled(
    folder: Path, memory: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        accelerate_transformer(load(folder, **memory), AccelerationConfig(compile=True))
    assert refusal.value.param == "engine.acceleration.compile"
    with pytest.raises(ValidationError, match="compile"):
        ServiceConfig.model_validate(
            {"model": {"memory": memory}, "engine": {"acceleration": {"compile": True}}}
        )


def test_adapters_are_refused_with_compiled_blocks(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="adapter"):
        ServiceConfig.model_validate(
            {
                "model": {"adapters": {"folder": tmp_path}},
                "engine": {"acceleration": {"compile": True}},
            }
        )


# Attention


@pytest.mark.parametrize("name", ["native", "_native_math", "_native_flash"])
def test_another_attention_backend_computes_the_same(folder: Path, name: str) -> None:
    """The last one takes no mask: prompts of several lengths are without one."""
    pipeline = load(folder)
    kinds = [(1, 4, (7,)), (3, 4, (9, 5, 12))]
    expected = [velocity(pipeline.transformer, *kind) for kind in kinds]
    try:
        accelerate_transformer(pipeline, AccelerationConfig(attention=name))
        processors = [
            block.attn.processor._attention_backend
            for block in pipeline.transformer.transformer_blocks
        ]
        assert processors == [name] * 2
        for kind, plain in zip(kinds, expected, strict=True):
            got = velocity(pipeline.transformer, *kind)
            torch.testing.assert_close(got, plain, atol=1e-5, rtol=1e-5)
    finally:
        # diffusers keeps one for the process, which resetting alone leaves as it is.
        pipeline.transformer.set_attention_backend("native")
        pipeline.transformer.reset_attention_backend()


@pytest.mark.parametrize("name", ["flsh", "flash_hub", "_native_npu", "flash"])
def test_a_backend_that_can_not_be_used_is_refused_with_those_that_can(
    folder: Path, name: str
) -> None:
    """Unknown, code from the hub, another device's, and one whose package is missing."""
    pipeline = load(folder)
    with pytest.raises(ConfigurationError, match=r"native, ") as refusal:
        accelerate_transformer(pipeline, AccelerationConfig(attention=name))
    assert refusal.value.param == "engine.acceleration.attention"
    assert f", {name}" not in refusal.value.message.partition("These do:")[2]


def test_nothing_is_changed_unless_asked(folder: Path) -> None:
    pipeline = load(folder)
    before = velocity(pipeline.transformer, 1, 4, (7,))
    accelerate_transformer(pipeline, AccelerationConfig())
    assert torch.equal(velocity(pipeline.transformer, 1, 4, (7,)), before)
    assert not any(block._compiled_call_impl for block in pipeline.transformer.transformer_blocks)


# Warm-up


@given(st.lists(st.tuples(st.integers(10, 99_999), st.integers(10, 99_999)), max_size=4))
def test_warm_up_sizes_are_widths_by_heights(sizes: list[tuple[int, int]]) -> None:
    written = tuple(f"{width}x{height}" for width, height in sizes)
    assert warm_up_canvases(AccelerationConfig(warm_up_sizes=written)) == sizes


@pytest.mark.parametrize("size", ["1024", "1024x", "x1024", "1024X1024", "0x64", "-64x64", "a", ""])
def test_a_malformed_size_is_refused(size: str) -> None:
    with pytest.raises(ValidationError, match="warm_up_sizes"):
        AccelerationConfig(warm_up_sizes=(size,))
