"""Durations in buckets of equal ratio: small, mergeable, with percentiles of a known error."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

SHORTEST_S = 1e-3
LONGEST_S = 3600.0
"""Shorter and longer durations count as these, seconds."""

RATIO = 1.05
"""Upper over lower edge of a bucket."""

BUCKETS = math.ceil(math.log(LONGEST_S / SHORTEST_S) / math.log(RATIO))
"""As many as a histogram ever has."""

RELATIVE_ERROR = math.sqrt(RATIO) - 1.0
"""Largest relative error of a percentile between both ends: a bucket is read at its middle."""


@dataclass(slots=True)
class Histogram:
    """How often durations fell into bucket i, ``SHORTEST_S * RATIO ** i`` to ``RATIO`` times that.

    Adding two histograms is the same as counting everything in one.
    """

    counts: Counter[int] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return self.counts.total()

    def observe(self, seconds: float) -> None:
        """Count a duration; what is no number is left out."""
        if not math.isnan(seconds):
            self.counts[_bucket(seconds)] += 1

    def add(self, other: Histogram) -> None:
        """Count all that ``other`` has counted."""
        self.counts.update(other.counts)

    def percentile(self, share: float) -> float | None:
        """The smallest duration that ``share`` (above 0, up to 1) of all are within, seconds.

        This is the nearest-rank percentile, within ``RELATIVE_ERROR``; ``None`` without any.
        """
        rank, seen = math.ceil(share * self.count), 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return float(SHORTEST_S * RATIO ** (bucket + 0.5))
        return None


def _bucket(seconds: float) -> int:
    if seconds <= SHORTEST_S:
        return 0
    if seconds >= LONGEST_S:
        return BUCKETS - 1
    return int(math.log(seconds / SHORTEST_S) / math.log(RATIO))
