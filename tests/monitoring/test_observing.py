"""Each edit begins once and ends once, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from serve_app.edits.result import EditOutcome
from serve_app.errors import Overloaded
from serve_app.monitoring.observing import EditObservers, observed
from tests.monitoring.outcomes import outcome


class Log:
    """Writes down what an observer is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def began(self) -> None:
        self.told.append("began")

    def completed(self, outcome: EditOutcome, seconds: float) -> None:
        self.told.append("completed" if seconds >= 0 else "completed before it began")

    def failed(self, code: str) -> None:
        self.told.append(code)

    def withdrawn(self) -> None:
        self.told.append("withdrawn")


def test_an_outcome() -> None:
    log = Log()
    with observed(log) as completed:
        completed(outcome())
    assert log.told == ["began", "completed"]


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (Overloaded("later"), "overloaded"),
        (ZeroDivisionError(), "internal_error"),
        (asyncio.CancelledError(), "withdrawn"),
        (GeneratorExit(), "withdrawn"),
    ],
)
def test_an_edit_without_an_outcome(raised: BaseException, told: str) -> None:
    log = Log()
    with pytest.raises(type(raised)), observed(log):
        raise raised
    assert log.told == ["began", told]


def test_what_comes_after_the_outcome_is_no_second_end() -> None:
    def stream(log: Log) -> Generator[EditOutcome, None, None]:
        with observed(log) as completed:
            completed(outcome())
            yield outcome()

    log = Log()
    events = stream(log)
    next(events)
    events.close()
    assert log.told == ["began", "completed"]


def test_nobody_needs_to_watch() -> None:
    with observed(None) as completed:
        completed(outcome())


def test_several_are_told_the_same() -> None:
    logs = Log(), Log()
    observers = EditObservers(*logs)
    with observed(observers) as completed:
        completed(outcome())
    with pytest.raises(Overloaded), observed(observers):
        raise Overloaded("full")
    with pytest.raises(asyncio.CancelledError), observed(observers):
        raise asyncio.CancelledError
    expected = ["began", "completed", "began", "overloaded", "began", "withdrawn"]
    assert [log.told for log in logs] == [expected, expected]
