"""The full size without its weights, and what its operations take."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu.architecture import (
    FULL,
    MINIATURE,
    make_text_encoder,
    make_transformer,
)
from benchmarks.gpu.floor import forward_flop, image_tokens
from benchmarks.gpu.workload import Edit, denoise, random_state
from tests.benchmarks.gpu.pipelines import miniature_pipeline

META = torch.device("meta")


def test_the_full_size_has_the_published_number_of_parameters() -> None:
    def parameters(model: torch.nn.Module) -> int:
        return sum(weight.numel() for weight in model.parameters())

    # Half the total_size of the bfloat16 checkpoints' safetensors indices.
    assert parameters(make_transformer(FULL, META)) == 20_430_401_088
    assert parameters(make_text_encoder(FULL, META)) == 8_292_166_656


def test_rotary_tables_keep_their_precision_in_bfloat16() -> None:
    full = make_text_encoder(FULL, META)
    assert next(full.parameters()).dtype == torch.bfloat16
    assert {buffer.dtype for buffer in full.buffers()} == {torch.float32}
    assert make_transformer(FULL, META).pos_embed.pos_freqs.dtype == torch.complex64
    assert torch.get_default_dtype() == torch.float32


def test_the_floor_counts_the_operations_that_torch_counts() -> None:
    pipeline = miniature_pipeline()
    steps = 2
    state = random_state(pipeline, Edit(128, steps), (200, 1))
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        denoise(pipeline.transformer, [state])
    blocks = [
        sum(operations.values())
        for name, operations in counter.get_flop_counts().items()
        if name.count(".") == 2 and ".transformer_blocks." in name
    ]
    assert len(blocks) == MINIATURE.transformer["num_layers"]
    counted = forward_flop(MINIATURE.transformer, image_tokens(128), 200)
    # Torch also counts the modulation, 12 width^2 weights once for all tokens.
    modulation = 2 * 12 * 48**2 * len(blocks)
    assert counted == sum(blocks) / steps - modulation


def test_the_floor_at_the_full_size() -> None:
    # 1.64e14 is the figure that the project's targets rest on.
    flop = forward_flop(FULL.transformer, image_tokens(1024), FULL.text_lengths[0])
    assert flop == pytest.approx(1.64e14, rel=0.03)
