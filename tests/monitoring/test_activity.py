"""What is counted of requests and edits, and that the counts stay small."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.edits.result import CacheStatus
from serve_app.errors import NotReady, Overloaded
from serve_app.monitoring.activity import Activity, failed_checks
from serve_app.monitoring.labels import CODES, MOST_STAGES, OTHER, status_class
from tests.monitoring.outcomes import outcome


def test_an_edit_is_counted_by_type_verdict_and_origin() -> None:
    activity = Activity()
    activity.completed(outcome("text", "fail", seconds=({"denoise": 1.0}, {"denoise": 4.0})), 6.0)
    activity.completed(outcome("text", "pass", cache=CacheStatus.OFF), 3.0)
    assert activity.edits == {("text", "fail"): 1, ("text", "pass"): 1}
    assert activity.cache == {"miss": 1, "off": 1}
    assert activity.attempts == {2: 1, 1: 1}
    assert activity.made == 2
    assert {name: stage.count for name, stage in activity.stages.items()} == {
        "denoise": 3,
        "validate": 1,
        "total": 2,
    }
    assert activity.stages["total"].percentile(1.0) == pytest.approx(6.0, rel=0.025)


@pytest.mark.parametrize("cache", [CacheStatus.HIT, CacheStatus.JOINED])
def test_another_edits_record_is_not_counted_again(cache: CacheStatus) -> None:
    activity = Activity()
    activity.completed(outcome(cache=cache), 0.01)
    assert activity.edits.total() == 1
    assert activity.cache == {str(cache): 1}
    assert activity.made == 0
    assert activity.stages == {}


def test_an_edit_that_wanted_no_cached_one_could_not_hit() -> None:
    activity = Activity()
    activity.completed(outcome(policy="refresh"), 1.0)
    activity.completed(outcome(cache=CacheStatus.HIT, policy="refresh"), 1.0)
    assert activity.cache == {"refreshed": 1, "hit": 1}


def test_errors_are_counted_by_code() -> None:
    activity = Activity()
    for code in (Overloaded.code, NotReady.code, NotReady.code, "of another version"):
        activity.failed(code)
    assert activity.failures == {"overloaded": 1, "not_ready": 2, OTHER: 1}
    assert {"internal_error", "deadline_exceeded", "replica_lost"} <= CODES


@pytest.mark.parametrize(
    ("status", "expected"), [(200, "2xx"), (404, "4xx"), (599, "5xx"), (999, OTHER)]
)
def test_classes_of_statuses(status: int, expected: str) -> None:
    assert status_class(status) == expected


@pytest.mark.parametrize(
    "metadata",
    [
        {"plan": None, "request": 5, "attempts": None},
        {"plan": {"edit_type": ["semantic"]}, "attempts": [{}]},
        {"plan": {}, "attempts": [{"seconds": None}]},
    ],
)
def test_records_of_other_versions_are_counted_as_other(metadata: dict[str, object]) -> None:
    activity = Activity()
    activity.completed(outcome(**metadata), 1.0)
    assert activity.edits == {(OTHER, "pass"): 1}
    assert activity.stages.keys() == {"total"}


def test_whatever_is_counted_the_size_is_bounded() -> None:
    activity = Activity()
    for i in range(10_000):
        activity.completed(outcome(f"t{i}", f"v{i}", seconds=({f"s{i}": 0.1 * i},)), float(i))
        activity.failed(f"code {i}")
        activity.request(status_class(i))
    for _ in range(100_000):
        activity.request("2xx")
    assert activity.edits == {(OTHER, OTHER): 10_000}
    assert activity.failures == {OTHER: 10_000}
    assert len(activity.requests) <= 6
    assert len(activity.stages) == MOST_STAGES + 1
    assert sum(stage.count for stage in activity.stages.values()) == 20_000


KINDS = st.sampled_from(["semantic", "text", "strange"])
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), KINDS, st.sampled_from(["pass", "fail"]), st.floats(0.0, 100.0)),
        st.tuples(st.just("failure"), st.sampled_from(["overloaded", "none"])),
        st.tuples(st.just("request"), st.sampled_from(["2xx", "5xx"])),
    ),
    max_size=30,
)


def counted(events: list[tuple[object, ...]]) -> Activity:
    activity = Activity()
    for event in events:
        match event:
            case ("edit", str(kind), str(verdict), float(seconds)):
                activity.completed(outcome(kind, verdict, seconds=({"denoise": seconds},)), seconds)
            case ("failure", str(code)):
                activity.failed(code)
            case ("request", str(status)):
                activity.request(status)
    return activity


@settings(max_examples=50)
@given(EVENTS, EVENTS)
def test_adding_is_counting_together(
    some: list[tuple[object, ...]], others: list[tuple[object, ...]]
) -> None:
    added = counted(some)
    added.add(counted(others))
    assert added == counted(some + others)


def test_adding_is_bounded_too() -> None:
    total = Activity()
    for i in range(1000):
        one = Activity()
        one.completed(outcome(seconds=({f"s{i}": 1.0},)), 1.0)
        total.add(one)
    assert len(total.stages) == MOST_STAGES + 1
    assert sum(stage.count for stage in total.stages.values()) == 2000


def test_checks_that_failed_are_those_of_every_attempt() -> None:
    def report(**checks: str) -> dict[str, Any]:
        return {"checks": [{"name": name, "status": status} for name, status in checks.items()]}

    attempts = [
        {"seconds": {}, "report": report(no_op="fail", text="fail", colour="warn")},
        {"seconds": {}, "report": report(no_op="pass", text="fail")},
        {"seconds": {}},
    ]
    metadata = outcome(attempts=attempts).result.metadata
    assert list(failed_checks(metadata)) == ["no_op", "text", "text"]
    assert list(failed_checks({})) == []
