"""The steps that are measured do the same work."""

from __future__ import annotations

import pytest
import torch

from benchmarks.gpu.acceleration import Acceleration
from benchmarks.gpu.end_to_end import latents_difference
from benchmarks.gpu.workload import Edit, Masked, denoise, random_state
from tests.benchmarks.gpu.pipelines import miniature_pipeline


def test_a_guided_step_is_the_same_in_one_forward_and_in_two() -> None:
    pipeline, edit = miniature_pipeline(), Edit(64, 3, guided=True)
    one, two = (random_state(pipeline, edit, (40, 17)) for _ in range(2))
    denoise(pipeline.transformer, [one])
    denoise(pipeline.transformer, [two], stack_guidance=False)
    assert two.done
    torch.testing.assert_close(two.latents, one.latents, atol=1e-5, rtol=0)


def test_masking_by_stock_gives_the_same_latents() -> None:
    pipeline, edit = miniature_pipeline(), Edit(64, 2)
    by_row, masked = (
        [random_state(pipeline, edit, (length, 1), length) for length in (40, 17)] for _ in range(2)
    )
    denoise(pipeline.transformer, by_row)
    denoise(Masked(pipeline.transformer), masked)
    for one, other in zip(by_row, masked, strict=True):
        torch.testing.assert_close(one.latents, other.latents, atol=1e-5, rtol=0)


def test_an_acceleration_ends_with_its_context() -> None:
    pipeline = miniature_pipeline()
    way = Acceleration(pipeline.transformer, "_native_math", "eager")
    blocks = pipeline.transformer.transformer_blocks
    for _ in range(2):
        with way.applied():
            assert all(block._compiled_call_impl is not None for block in blocks)
            assert blocks[0].attn.processor._attention_backend == "_native_math"
        assert all(block._compiled_call_impl is None for block in blocks)
        assert blocks[0].attn.processor._attention_backend == "native"


def test_other_latents_are_an_error_in_float32_and_nan_too() -> None:
    latents = torch.randn(1, 4, 8)
    assert latents_difference(latents, latents, "ours")["greatest"] == 0
    for other in (latents + 1e-3, latents * torch.nan):
        with pytest.raises(RuntimeError, match="other latents"):
            latents_difference(other, latents, "ours")
    assert latents_difference((latents + 1).bfloat16(), latents, "ours")["greatest"] > 0.9
