"""Percentiles of the histogram against numpy's, and adding against counting together."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serve_app.monitoring.histogram import (
    BUCKETS,
    LONGEST_S,
    RATIO,
    RELATIVE_ERROR,
    SHORTEST_S,
    Histogram,
)

DURATIONS = st.lists(st.floats(SHORTEST_S, LONGEST_S), min_size=1, max_size=200)
SHARES = st.sampled_from([0.5, 0.95, 0.99, 1.0])


def counted(durations: list[float]) -> Histogram:
    histogram = Histogram()
    for seconds in durations:
        histogram.observe(seconds)
    return histogram


@settings(max_examples=100)
@given(DURATIONS, SHARES)
@example([1.0], 0.5)
def test_percentiles_are_within_the_error(durations: list[float], share: float) -> None:
    found = counted(durations).percentile(share)
    exact = float(np.percentile(durations, 100 * share, method="inverted_cdf"))
    assert found == pytest.approx(exact, rel=RELATIVE_ERROR * 1.001)


def test_the_error_is_half_of_a_bucket_of_at_most_five_percent() -> None:
    assert RATIO <= 1.05
    assert pytest.approx(0.0247, abs=1e-4) == RELATIVE_ERROR
    assert SHORTEST_S * RATIO**BUCKETS >= LONGEST_S > SHORTEST_S * RATIO ** (BUCKETS - 1)


@settings(max_examples=50)
@given(DURATIONS, DURATIONS)
def test_adding_is_counting_together(some: list[float], others: list[float]) -> None:
    added = counted(some)
    added.add(counted(others))
    assert added == counted(some + others)


def test_what_is_out_of_range_counts_as_its_end() -> None:
    assert counted([-1.0, 0.0, 1e-9]).percentile(1.0) == pytest.approx(SHORTEST_S, rel=0.03)
    assert counted([1e9, math.inf]).percentile(0.5) == pytest.approx(LONGEST_S, rel=0.03)


def test_no_number_is_not_counted() -> None:
    assert counted([math.nan]).count == 0


def test_without_durations_there_is_no_percentile() -> None:
    assert Histogram().percentile(0.5) is None


def test_it_never_grows_beyond_its_buckets_and_can_be_sent() -> None:
    generator = np.random.default_rng(1)
    histogram = counted(list(10 ** generator.uniform(-6, 6, 100_000)))
    assert histogram.count == 100_000
    assert len(histogram.counts) <= BUCKETS
    assert pickle.loads(pickle.dumps(histogram)) == histogram
