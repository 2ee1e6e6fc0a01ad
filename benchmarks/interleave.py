"""Measuring two or more ways of doing the same so that the machine's noise hits all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

Measurement = Callable[[int], float]
"""Does the work once and returns its seconds; gets the number of the repeat, from 0."""


def interleaved(ways: Mapping[str, Measurement], repeats: int) -> dict[str, list[float]]:
    """Measure each way once per repeat: A, B, then B, A, and so on.

    The order turns round every time, so that neither always runs on the caches and clock
    speed that the other one left behind.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats):
        names = list(ways)[:: 1 if repeat % 2 == 0 else -1]
        for name in names:
            seconds[name].append(ways[name](repeat))
    return seconds


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios within each repeat: a slow minute hits both of a pair."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def summary(seconds: Sequence[float]) -> dict[str, float | int]:
    """Median, quartiles and number of measurements, in seconds."""
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return {"n": len(seconds), "p25_s": low, "p50_s": middle, "p75_s": high}
