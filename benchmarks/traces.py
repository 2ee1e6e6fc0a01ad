"""Arrivals to compare scheduling policies on."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from itertools import product

from benchmarks.simulation import Edit, StepSeconds

SIZE_1024, SIZE_512 = 8192, 2048
"""Tokens of a row with one reference, at 1024x1024 and at 512x512."""

_STEP_1024_S = 0.342
_STEP_512_S = 0.09


def h200_step_seconds(tokens: int, rows: int) -> float:
    """A step on one H200, as vLLM-Omni and SGLang publish it.

    At 1024x1024 a step takes 0.342 s and a batch gains 1.02x. At 512x512 eight rows gain
    3.1x, taken as a straight line; the 0.09 s of one row there is our assumption.
    """
    if tokens == SIZE_1024:
        return _STEP_1024_S * (1.0 if rows == 1 else rows / 1.02)
    return _STEP_512_S * (1.0 + (rows - 1) * (8 / 3.1 - 1) / 7)


def poisson(
    seed: int,
    count: int,
    load: float,
    sizes: Sequence[int],
    steps: Sequence[int],
    step_seconds: StepSeconds,
    tenant: str = "",
) -> list[Edit]:
    """Independent arrivals at ``load`` times what one request at a time can bear.

    Every size and number of steps is as likely as the next; repeat one to make it likelier.
    """
    draw = random.Random(seed)
    mean_s = statistics.mean(step_seconds(size, 1) * n for size, n in product(sizes, steps))
    edits, now = [], 0.0
    for _ in range(count):
        now += draw.expovariate(load / mean_s)
        edits.append(Edit(now, draw.choice(steps), draw.choice(sizes), tenant=tenant))
    return edits


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` (0..1) of all are at most, without interpolation."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def longest_tenth(work: Sequence[float], values: Sequence[float]) -> list[float]:
    """Those of ``values`` whose ``work`` is in the largest tenth."""
    order = sorted(range(len(work)), key=work.__getitem__)
    return [values[i] for i in order[-max(1, len(order) // 10) :]]
