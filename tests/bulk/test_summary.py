"""The summary: what a run came to, and whether its results are those of this very state."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.bulk.desk import Stopped
from serve_app.bulk.record import RowRecord, Status
from serve_app.bulk.run_record import ManifestFacts, RunRecord
from serve_app.bulk.summary import SUMMARY, Summary, summarised
from serve_app.storage.byte_store import ByteStore

from .finished import ledger_of


def run_of(rows: int, invalid: int = 0) -> RunRecord:
    return RunRecord("0123abcd", 1.8e9, "1.2.3", ManifestFacts("csv", "ab", rows, invalid), {})


def done(row: int, verdict: str = "pass", at: float = 1.0) -> RowRecord:
    return RowRecord(row, f"id-{row}", Status.SUCCEEDED, at, verdict=verdict)


def failed(row: int, code: str = "edit_failed", at: float = 1.0) -> RowRecord:
    return RowRecord(row, f"id-{row}", Status.FAILED, at, error_code=code, error_message="…")


def summary(records: Iterable[RowRecord], rows: int = 10, invalid: int = 0) -> Summary:
    return summarised(run_of(rows, invalid), ledger_of(records), None)


@pytest.fixture
def store() -> ByteStore:
    return ByteStore(f"memory://{uuid.uuid4().hex}")


def test_rows_are_counted_by_how_they_ended() -> None:
    records = [
        done(1),
        done(2, "fail", at=7.5),
        done(3),
        failed(4),
        failed(5, "image_not_found"),
        failed(6),
    ]
    told = summarised(run_of(10, invalid=2), ledger_of(records), Stopped.INTERRUPTED)
    assert told == Summary(
        rows=10,
        succeeded=3,
        failed=5,
        invalid=2,
        verdicts={"pass": 2, "fail": 1},
        failures={"edit_failed": 2, "image_not_found": 1, "invalid": 2},
        last_ended_at=7.5,
        stopped="interrupted",
    )
    assert told.left == 2


def test_before_the_first_row() -> None:
    told = summary([])
    assert told == Summary(10, 0, 0, 0, {}, {}, None)
    assert told.left == 10


@given(
    good=st.integers(0, 5),
    bad=st.integers(0, 5),
    invalid=st.integers(0, 5),
    left=st.integers(0, 5),
)
def test_the_numbers_add_up(good: int, bad: int, invalid: int, left: int) -> None:
    records = [done(n) for n in range(good)] + [failed(n) for n in range(good, good + bad)]
    told = summary(records, good + bad + invalid + left, invalid)
    assert (told.succeeded, told.failed, told.left) == (good, bad + invalid, left)
    assert sum(told.verdicts.values()) == good
    assert sum(told.failures.values()) == bad + invalid


def with_results(store: ByteStore) -> None:
    for name in ("results.parquet", "report.html"):
        store.put(name, b"something")


def test_it_is_written_for_this_state_alone(store: ByteStore) -> None:
    told = summary([done(1), failed(2)])
    assert not told.is_written(store)
    told.write(store)
    assert not told.is_written(store)  # without what it sums up
    with_results(store)
    assert told.is_written(store)
    assert summary([done(1), failed(2)]).is_written(store)
    # The failed row was tried again, and failed again: the results say another time.
    assert not summary([done(1), failed(2, at=9.0)]).is_written(store)
    assert not summary([done(1), done(2)]).is_written(store)
    assert not summary([done(1)]).is_written(store)


def test_why_it_stopped_does_not_make_results_old(store: ByteStore) -> None:
    told = replace(summary([done(1)]), stopped="interrupted")
    told.write(store)
    with_results(store)
    assert replace(told, stopped=None).is_written(store)


def test_it_can_be_read_by_others(store: ByteStore) -> None:
    summary([done(1), failed(2)], invalid=1).write(store)
    data: Any = json.loads(store.get(SUMMARY) or b"")
    assert (data["rows"], data["succeeded"], data["failed"], data["invalid"]) == (10, 1, 2, 1)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"{}", b'"rows"'])
def test_what_is_no_summary_is_written_anew(store: ByteStore, content: bytes) -> None:
    store.put(SUMMARY, content)
    assert not summary([done(1)]).is_written(store)
