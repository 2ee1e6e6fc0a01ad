"""The least time a forward can take: its operations over what the matrix units reach."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import torch

from benchmarks.gpu.device import Device


def forward_flop(transformer: Mapping[str, Any], image_tokens: int, text_tokens: int) -> float:
    """Count the floating-point operations of the blocks in one forward of one row.

    ``transformer`` is the model's configuration. Every token of either stream passes the
    four projections of the attention (4 width^2 weights) and the MLP (8 width^2), two
    operations per weight; attention is two products of tokens x tokens x width. Modulation,
    norms and what surrounds the blocks are left out: less than 0.1 % at 1024x1024.
    """
    width = transformer["num_attention_heads"] * transformer["attention_head_dim"]
    tokens = image_tokens + text_tokens
    linear = 2 * 12 * width**2 * tokens
    attention = 4 * tokens**2 * width
    return float(transformer["num_layers"] * (linear + attention))


def image_tokens(side: int, references: int = 1) -> int:
    """Tokens of a square output of ``side`` pixels and of references of the same size.

    One token is 16x16 pixels: the VAE's 8 and the packing's 2.
    """
    return (1 + references) * (side // 16) ** 2


def matmul_rate(device: Device, side: int, dtype: torch.dtype) -> float:
    """Measure FLOP per second of a square product of random matrices (zeros run faster)."""
    generator = torch.Generator(device.torch).manual_seed(0)
    a, b = (
        torch.randn(side, side, device=device.torch, generator=generator).to(dtype)
        for _ in range(2)
    )
    out = torch.empty_like(a)
    for _ in range(3):
        torch.matmul(a, b, out=out)
    seconds = []
    for _ in range(5):
        started = device.now()
        for _ in range(10):
            torch.matmul(a, b, out=out)
        seconds.append((device.now() - started) / 10)
    return 2 * side**3 / statistics.median(seconds)
