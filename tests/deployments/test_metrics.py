"""The table of metrics keeps Prometheus' conventions, and labels their bounds."""

from __future__ import annotations

from itertools import pairwise

import pytest

from serve_app.monitoring import metrics
from serve_app.monitoring.metrics import METRICS, Kind, Metric

UNITS = ("_seconds", "_bytes", "_ratio")

COUNTED = {
    "qwen_edit_http_requests_in_progress",
    "qwen_edit_edits_in_progress",
    "qwen_edit_attempts",
    "qwen_edit_flights",
    "qwen_edit_flight_waiting",
    "qwen_edit_editor_warm",
    "qwen_edit_editor_pending",
    "qwen_edit_jobs",
}
"""Numbers of things, named after them: they have no other unit."""


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_says_what_it_is(metric: Metric) -> None:
    assert metric.name.startswith("qwen_edit_")
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    if metric.kind is not Kind.COUNTER:
        assert metric.name.endswith(UNITS) != (metric.name in COUNTED)
    assert metric.description.endswith(".")
    assert not {"deployment", "replica", "application", "le"} & set(metric.labels)
    assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert all(edge > 0 for edge in metric.buckets)


def test_names_are_told_apart() -> None:
    series = [name for metric in METRICS for name in metric.exported]
    assert len(series) == len(set(series))


@pytest.mark.parametrize("most", [1, 2, 4, 8])
def test_the_mean_of_the_occupancy_is_exact(most: int) -> None:
    """Ray counts a value as the middle of its bucket, which each share of a batch is."""
    edges = metrics.BATCH_OCCUPANCY.buckets
    middles = {(low + high) / 2 for low, high in pairwise(edges)}
    assert {shared / most for shared in range(1, most + 1)} <= middles


def test_the_mean_of_the_attempts_is_exact() -> None:
    edges = metrics.ATTEMPTS.buckets
    assert [(low + high) / 2 for low, high in pairwise(edges)] == list(range(1, 9))
