"""The desk: bounded hand-out, each row ends once, and a stop lets what is under way finish."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serve_app.bulk.desk import (
    NO_LIMIT,
    Desk,
    DeskOptions,
    Granted,
    MaxErrors,
    Stopped,
    Tally,
    Turn,
    died_over,
)
from serve_app.bulk.ledger import Ledger, read_ledger
from serve_app.bulk.record import RowRecord, Status
from serve_app.errors import NotReady
from serve_app.storage.byte_store import ByteStore
from tests.storage.virtual_time import run_virtually


class Notes:
    """A ledger in memory that can be away, or slow."""

    def __init__(self) -> None:
        self.records: list[RowRecord] = []
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, record: RowRecord) -> None:
        await self.gate.wait()
        if self.away:
            raise NotReady("Storage does not answer.")
        self.records.append(record)

    @property
    def rows(self) -> list[int]:
        return [record.row for record in self.records]


LAST = 5000
"""The highest number of a row here."""


def desk_of(
    notes: Notes, window: int = 8, lives: int = 2, max_errors: MaxErrors = NO_LIMIT
) -> Desk:
    options = DeskOptions(LAST, window, lives, max_errors)
    return Desk(notes, options)  # type: ignore[arg-type]


async def granted(desk: Desk, *rows: int) -> list[int] | None:
    """Which of ``rows`` are handed out; ``None`` at the end."""
    taken = await desk.take(rows)
    return None if taken is None else taken.rows


def done(row: int, verdict: str | None = "pass") -> RowRecord:
    return RowRecord(row, f"id-{row}", Status.SUCCEEDED, 1.0, verdict=verdict)


def failed(row: int) -> RowRecord:
    return RowRecord(row, f"id-{row}", Status.FAILED, 1.0, error_code="edit_failed")


async def ended(desk: Desk, *records: RowRecord) -> None:
    """Take the rows of ``records``, begin and end them."""
    for record in records:
        assert await granted(desk, record.row) == [record.row]
        assert desk.begin(record.row) is Turn.GO
        await desk.end(record)


# Handing out


async def test_no_more_than_the_window_is_out() -> None:
    desk = desk_of(Notes(), window=3)
    assert await granted(desk, 1, 2) == [1, 2]
    assert await desk.take([3, 4, 5]) == Granted([3], 1)
    waits = asyncio.create_task(granted(desk, 4, 5))
    await asyncio.sleep(0)
    assert not waits.done()
    desk.begin(2)
    await desk.end(done(2))
    assert await waits == [4]
    assert desk.tally().in_flight == 0  # none of those that are out has come to an editor


async def test_a_stop_ends_the_hand_out_for_whoever_waits() -> None:
    desk = desk_of(Notes(), window=1)
    await desk.take([1])
    waits = asyncio.create_task(granted(desk, 2))
    await asyncio.sleep(0)
    desk.stop(Stopped.INTERRUPTED)
    assert await waits is None
    assert await granted(desk, 3) is None


async def test_after_a_stop_rows_at_an_editor_end_and_others_do_not_begin() -> None:
    notes = Notes()
    desk = desk_of(notes)
    await desk.take([1, 2])
    assert desk.begin(1) is Turn.GO
    desk.stop(Stopped.INTERRUPTED)
    assert desk.begin(2) is Turn.SKIP
    await desk.end(done(1))
    assert notes.rows == [1]
    assert desk.tally().succeeded == 1
    assert desk.tally().in_flight == 0


async def test_the_first_reason_to_stop_is_the_one_that_is_told() -> None:
    desk = desk_of(Notes(), max_errors=MaxErrors(number=0))
    await desk.take([1])
    desk.begin(1)
    desk.stop(Stopped.INTERRUPTED)
    await desk.end(failed(1))
    desk.stop(Stopped.TOO_MANY_ERRORS)
    assert desk.tally().stopped is Stopped.INTERRUPTED


async def test_trouble_that_no_row_can_help_stops_the_run() -> None:
    desk = desk_of(Notes())
    await desk.take([1])
    trouble = NotReady("Storage is full.")
    desk.give_up(trouble)
    desk.give_up(NotReady("Something that came of it."))
    assert desk.tally().trouble is trouble
    assert desk.tally().stopped is Stopped.TROUBLE
    assert await granted(desk, 2) is None


async def test_a_source_that_starts_anew_is_not_given_rows_again() -> None:
    desk = desk_of(Notes())
    await ended(desk, done(1))
    await desk.take([2])
    assert await desk.take([1, 2, 3, 4]) == Granted([3, 4], 4)
    assert [row for row, one in enumerate(desk.done()) if one] == [1]


# Rows that come again


async def test_a_row_that_ended_is_skipped_and_counted_once() -> None:
    notes = Notes()
    desk = desk_of(notes)
    await ended(desk, done(1))
    assert desk.begin(1) is Turn.SKIP
    await desk.end(failed(1))
    assert notes.rows == [1]
    assert (desk.tally().succeeded, desk.tally().failed) == (1, 0)


async def test_a_row_that_was_not_handed_out_is_skipped() -> None:
    assert desk_of(Notes()).begin(1) is Turn.SKIP


async def test_two_ends_at_once_count_once() -> None:
    """Its editor was thought lost, and both copies of the row finish while the ledger writes."""
    notes = Notes()
    desk = desk_of(notes)
    await desk.take([1])
    assert [desk.begin(1), desk.begin(1, alone=True)] == [Turn.GO, Turn.GO]
    notes.gate.clear()
    both = asyncio.gather(desk.end(done(1)), desk.end(done(1)))
    await asyncio.sleep(0)
    notes.gate.set()
    await both
    tally = desk.tally()
    assert (tally.succeeded, tally.verdicts, tally.in_flight) == (1, {"pass": 1}, 0)


async def test_a_row_that_lost_its_editor_goes_on_alone() -> None:
    desk = desk_of(Notes())
    await desk.take([1, 2])
    assert [desk.begin(1), desk.begin(1)] == [Turn.GO, Turn.ALONE]
    assert desk.begin(1, alone=True) is Turn.GO
    assert desk.begin(2) is Turn.GO


@given(lives=st.integers(1, 5))
def test_a_row_over_which_editors_die_is_given_up(lives: int) -> None:
    async def played() -> None:
        desk = desk_of(Notes(), lives=lives)
        await desk.take([1, 2])
        assert [desk.begin(1, alone=True) for _ in range(lives)] == [Turn.GO] * lives
        assert desk.begin(1) is Turn.GIVE_UP
        assert desk.begin(1) is Turn.GIVE_UP
        assert desk.begin(2) is Turn.GO  # each row has its own
        await desk.end(failed(1))
        assert desk.begin(1) is Turn.SKIP
        assert desk.tally().failed == 1

    asyncio.run(played())


def test_what_a_row_is_told_that_is_died_over() -> None:
    assert died_over().code == "replica_lost"


# Too many errors


@pytest.mark.parametrize("most", [1, 2, 20])
async def test_so_many_failed_rows_stop_the_run(most: int) -> None:
    desk = desk_of(Notes(), max_errors=MaxErrors(number=most))
    await ended(desk, done(1000), *(failed(row) for row in range(most - 1)))
    assert desk.tally().stopped is None
    await ended(desk, failed(most))
    assert desk.tally().stopped is Stopped.TOO_MANY_ERRORS
    assert await granted(desk, 2000) is None


@pytest.mark.parametrize(
    ("share", "failures", "ended_rows", "too_many"),
    [
        (0.05, 99, 99, False),  # too few have ended for a share of them
        (0.05, 5, 100, False),
        (0.05, 6, 100, True),
        (0.05, 50, 1000, False),
        (0.05, 51, 1000, True),
        (0.0, 0, 1000, False),
        (0.0, 1, 1000, True),
        (1.0, 1000, 1000, False),
    ],
)
def test_a_share_of_failed_rows(
    share: float, failures: int, ended_rows: int, too_many: bool
) -> None:
    assert MaxErrors(share=share).exceeded(failures, ended_rows) is too_many


async def test_a_share_stops_the_run() -> None:
    desk = desk_of(Notes(), max_errors=MaxErrors(share=0.1))
    await ended(desk, *(failed(row) for row in range(11)), *(done(row) for row in range(11, 99)))
    assert desk.tally().stopped is None
    await ended(desk, done(99))
    assert desk.tally().stopped is Stopped.TOO_MANY_ERRORS


def test_without_a_limit_nothing_is_too_much() -> None:
    assert not NO_LIMIT.exceeded(10**6, 10**6)


# The ledger


async def test_a_row_that_the_ledger_does_not_take_has_not_ended() -> None:
    notes = Notes()
    desk = desk_of(notes, window=1, max_errors=MaxErrors(number=0))
    await desk.take([1])
    desk.begin(1)
    notes.away = True
    with pytest.raises(NotReady):
        await desk.end(failed(1))
    assert desk.tally().failed == 0
    assert desk.tally().in_flight == 1
    assert desk.tally().stopped is None
    notes.away = False
    await desk.end(done(1))
    assert desk.tally().succeeded == 1
    assert await granted(desk, 2) == [2]


async def test_what_ended_is_in_the_ledger() -> None:
    store = ByteStore(f"memory://{uuid.uuid4().hex}")
    desk = Desk(Ledger(store), DeskOptions(LAST, 4))
    await ended(desk, done(2), failed(1))
    assert read_ledger(store).select(["row", "status"]).to_pylist() == [
        {"row": 1, "status": "failed"},
        {"row": 2, "status": "succeeded"},
    ]


async def test_a_tally_tells_all() -> None:
    desk = desk_of(Notes())
    assert desk.tally() == Tally()
    await ended(desk, done(1, "pass"), done(2, "fail"), done(3, "pass"), done(4, None), failed(5))
    await desk.take([6, 7])
    desk.begin(6)
    tally = desk.tally()
    assert (tally.succeeded, tally.failed, tally.in_flight, tally.begun) == (4, 1, 1, 6)
    assert tally.verdicts == {"pass": 2, "fail": 1}
    assert tally.began_at is not None


class Runs(RuleBasedStateMachine):
    """A source, editors that die, a ledger that fails: against a plain list of what must be."""

    def __init__(self) -> None:
        super().__init__()
        self.window, self.lives = 3, 2
        self.notes = Notes()
        self.desk = desk_of(self.notes, self.window, self.lives)
        self.next_row = 1
        self.out: set[int] = set()
        self.deaths: dict[int, int] = {}
        self.stopped = False

    def act(self, what: Any) -> Any:
        return run_virtually(what)

    @precondition(lambda self: self.stopped or len(self.out) < self.window)
    @rule(wanted=st.integers(1, 5))
    def take(self, wanted: int) -> None:
        rows = list(range(self.next_row, self.next_row + wanted))
        taken = self.act(self.desk.take(rows))
        if self.stopped:
            assert taken is None
            return
        places = min(wanted, self.window - len(self.out))
        assert taken == Granted(rows[:places], places)
        self.out.update(taken.rows)
        self.next_row += places

    @rule(row=st.integers(1, 12), alone=st.booleans())
    def begin(self, row: int, alone: bool) -> None:
        turn = self.desk.begin(row, alone=alone)
        if row not in self.out or self.stopped:
            assert turn is Turn.SKIP
            self.out.discard(row)
        elif self.deaths.get(row, 0) == self.lives:
            assert turn is Turn.GIVE_UP
        elif row in self.deaths and not alone:
            assert turn is Turn.ALONE
        else:
            assert turn is Turn.GO
            self.deaths[row] = self.deaths.get(row, 0) + 1

    @rule(row=st.integers(1, 12), well=st.booleans(), away=st.booleans())
    def end(self, row: int, well: bool, away: bool) -> None:
        self.notes.away = away
        record = done(row) if well else failed(row)
        if away and row in self.out:
            with pytest.raises(NotReady):
                self.act(self.desk.end(record))
        else:
            self.act(self.desk.end(record))
            self.out.discard(row)

    @rule()
    def stop(self) -> None:
        self.desk.stop(Stopped.INTERRUPTED)
        self.stopped = True

    @invariant()
    def each_row_ends_at_most_once(self) -> None:
        rows = self.notes.rows
        assert len(rows) == len(set(rows))
        assert not self.out & set(rows)
        tally = self.desk.tally()
        assert tally.succeeded + tally.failed == len(rows)
        assert tally.in_flight == len(self.out & self.deaths.keys())


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=100, stateful_step_count=30)
