"""What steps, encoding and decoding cost, learned from those that were made.

A step's seconds grow about linearly with its tokens, so they are kept per token, in buckets
of similar size: canvases of one area but other aspects share what is known of them.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import deque

_SAMPLES = 9
"""The median of so many: a step that met a busy moment doesn't count."""

_TRUSTED = 3
"""Samples before a number of rows counts as known: the first may pay for warming up."""

_FORGOTTEN_AFTER = 2000
"""Steps without a new sample after which a number of rows is tried again."""

_BUCKETS_PER_OCTAVE = 4


class _Rows:
    """Recent seconds per token of steps with one number of rows."""

    def __init__(self) -> None:
        self.samples: deque[float] = deque(maxlen=_SAMPLES)
        self.last_step = 0


class StepCosts:
    """Seconds of a step by tokens a row and number of rows.

    One thread observes; any thread may ask.
    What is not known yet is estimated low: more rows than were ever tried cost nothing
    extra, so that they are tried, and measured. Nothing at all known gives 0.
    """

    def __init__(self) -> None:
        self._seen: dict[int, dict[int, _Rows]] = {}
        self._curves: dict[int, dict[int, float]] = {}
        self._steps = 0
        self.observed_at = -math.inf
        """When it last learned something, by ``time.monotonic``."""

    def observe(self, tokens: int, rows: int, seconds: float) -> None:
        """Learn from one step of ``rows`` rows with ``tokens`` tokens each."""
        self._steps += 1
        self.observed_at = time.monotonic()
        bucket = _bucket(tokens)
        seen = self._seen.setdefault(bucket, {})
        sizes = seen.setdefault(rows, _Rows())
        sizes.samples.append(seconds / tokens)
        sizes.last_step = self._steps
        oldest = self._steps - _FORGOTTEN_AFTER
        self._seen[bucket] = {size: it for size, it in seen.items() if it.last_step > oldest}
        curve = {
            size: statistics.median(it.samples)
            for size, it in self._seen[bucket].items()
            if len(it.samples) >= _TRUSTED
        }
        self._curves = {**self._curves, bucket: curve}  # anew: other threads may be reading

    def seconds(self, tokens: int, rows: int) -> float:
        """Estimate a step of ``rows`` rows."""
        return tokens * _interpolated(self._curve(tokens), rows)

    def least_share(self, tokens: int) -> float:
        """Seconds of a row in the best number of rows that was tried."""
        curve = self._curve(tokens)
        return tokens * min((seconds / rows for rows, seconds in curve.items()), default=0.0)

    def _curve(self, tokens: int) -> dict[int, float]:
        """Seconds per token by rows, of the most similar size that has been measured."""
        wanted = _bucket(tokens)
        if curve := self._curves.get(wanted):
            return curve
        measured = [bucket for bucket, curve in self._curves.items() if curve]
        nearest = min(measured, key=lambda bucket: abs(bucket - wanted), default=None)
        return {} if nearest is None else self._curves[nearest]


class Costs:
    """What the parts of an edit cost: its steps, and before and after them its encoding and
    decoding, which are by the tokens of one row."""

    def __init__(self) -> None:
        self.steps = StepCosts()
        self.encoding = StepCosts()
        self.decoding = StepCosts()


def _bucket(tokens: int) -> int:
    return round(_BUCKETS_PER_OCTAVE * math.log2(tokens))


def _interpolated(known: dict[int, float], rows: int) -> float:
    if rows in known or not known:
        return known.get(rows, 0.0)
    fewer = max((size for size in known if size < rows), default=None)
    more = min((size for size in known if size > rows), default=None)
    if more is None:
        return known[max(known)]
    if fewer is None:
        return known[more] * rows / more
    weight = (rows - fewer) / (more - fewer)
    return (1 - weight) * known[fewer] + weight * known[more]
