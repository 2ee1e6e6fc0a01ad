"""How values are spread: quantiles, and bars to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_BARS = 32
_MOST_DISTINCT = 6
"""Up to so many different values have a bar each."""
_FAR = 2.0
"""A maximum so many times farther from the minimum than nearly all values would flatten them."""

_NARROW = 1e-9
"""The least range that is cut into bars, relative: floats have no finer edges to offer."""


@dataclass(frozen=True, slots=True)
class Bar:
    """``count`` values from ``low`` to ``high``, of which a drawing is ``height`` high, 0..1."""

    low: float
    high: float
    count: int
    height: float


@dataclass(frozen=True, slots=True)
class Distribution:
    """The spread of ``count`` values, at least one.

    ``discrete`` bars stand for one value each. The last bar is ``open`` if it also counts what
    is beyond it.
    """

    count: int
    minimum: float
    median: float
    p95: float
    maximum: float
    bars: Sequence[Bar]
    discrete: bool
    open: bool = False


def distribution(values: Values) -> Distribution | None:
    """The spread of those of ``values`` that are finite; ``None`` without any."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, median, p95, p99, high = (float(q) for q in np.quantile(values, (0, 0.5, 0.95, 0.99, 1)))
    distinct = np.unique(values[:1000])
    if len(distinct) <= _MOST_DISTINCT:  # most are not, and a thousand show it
        distinct = np.unique(values)
    if len(distinct) <= _MOST_DISTINCT:
        counts = np.array([(values == one).sum() for one in distinct])
        bars = _bars(distinct, distinct, counts)
        return Distribution(len(values), low, median, p95, high, bars, discrete=True)
    far = high - low > _FAR * (p99 - low) > 0
    edge = p99 if far else max(high, low + _NARROW * max(1.0, abs(low)))
    counts, edges = np.histogram(np.minimum(values, edge), _BARS, (low, edge))
    bars = _bars(edges[:-1], edges[1:], counts)
    return Distribution(len(values), low, median, p95, high, bars, discrete=False, open=far)


def _bars(lows: Values, highs: Values, counts: NDArray[np.int64]) -> tuple[Bar, ...]:
    most = int(counts.max())
    return tuple(
        Bar(float(low), float(high), int(count), int(count) / most)
        for low, high, count in zip(lows, highs, counts, strict=True)
    )
