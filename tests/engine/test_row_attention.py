"""Rows of several prompt lengths in one forward: each as if it were alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.engine.load import Checkpoint
from serve_app.engine.row_attention import RowAttention
from tests.engine.forwards import forward

SIDE = 4


def drawn(
    transformer: Any, lengths: list[int], padding: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and texts, padded behind each one's length with one value."""
    generator = torch.Generator().manual_seed(sum(lengths))
    config = transformer.config
    latents = torch.randn(len(lengths), 2 * SIDE**2, config.in_channels, generator=generator)
    texts = torch.randn(len(lengths), max(lengths), config.joint_attention_dim, generator=generator)
    for row, length in enumerate(lengths):
        texts[row, length:] = padding
    return latents, texts


@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=2, max_size=5))
def test_every_row_is_what_the_stock_mask_makes_of_it(plus: Checkpoint, lengths: list[int]) -> None:
    transformer = plus.pipeline.transformer
    latents, texts = drawn(transformer, lengths, padding=0.0)
    tokens = torch.tensor(lengths)
    mask = torch.arange(max(lengths)) < tokens[:, None]
    masked = forward(transformer, SIDE, latents, texts, encoder_hidden_states_mask=mask)
    by_row = forward(transformer, SIDE, latents, texts, attention_kwargs={"text_lengths": tokens})
    torch.testing.assert_close(by_row, masked, atol=1e-5, rtol=0)


def test_padding_is_seen_by_nobody(plus: Checkpoint) -> None:
    """Not even if it is not a number, which a mask would let through."""
    transformer, lengths = plus.pipeline.transformer, [9, 30, 1]
    how = {"attention_kwargs": {"text_lengths": torch.tensor(lengths)}}
    clean = forward(transformer, SIDE, *drawn(transformer, lengths, padding=0.0), **how)
    dirty = forward(transformer, SIDE, *drawn(transformer, lengths, padding=torch.nan), **how)
    assert torch.isfinite(clean).all()
    assert torch.equal(clean, dirty)


def test_the_chosen_backend_runs_every_row(
    plus: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    def attention(query: torch.Tensor, *_: torch.Tensor, backend: str | None) -> torch.Tensor:
        seen.append(backend)
        return query

    monkeypatch.setattr("serve_app.engine.row_attention.dispatch_attention_fn", attention)
    transformer = plus.pipeline.transformer
    transformer.set_attention_backend("_native_math")
    try:
        how = {"attention_kwargs": {"text_lengths": torch.tensor([5, 3])}}
        forward(transformer, SIDE, *drawn(transformer, [5, 3], padding=0.0), **how)
    finally:
        transformer.set_attention_backend("native")  # for the process, which a reset is not
        transformer.reset_attention_backend()
    assert seen == ["_native_math"] * 2 * len(transformer.transformer_blocks)


def test_the_operator_is_what_it_says_to_the_compiler() -> None:
    query, key, value = torch.randn(3, 2, 12, 3, 16)
    torch.library.opcheck(
        torch.ops.qwen_edit.attend_by_row.default,
        (query, key, value, torch.tensor([4, 2]), 8, None),
        test_utils=("test_schema", "test_faketensor"),
    )


def test_every_block_has_it(plus: Checkpoint) -> None:
    processors = plus.pipeline.transformer.attn_processors.values()
    assert all(isinstance(processor, RowAttention) for processor in processors)
