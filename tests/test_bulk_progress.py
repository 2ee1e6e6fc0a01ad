"""How a bulk run is shown: its rate, what is left, lines that are few, and a bar."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from serve_app.bulk.progress import RecentRate, RunProgress
from serve_app.bulk_progress import bulk_progress, view

EDITING = RunProgress("editing", 1000, rate=2.0)


class Clock:
    """Time that passes when it is told to, seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def plain() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=80)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def ended(count: int) -> RunProgress:
    return replace(EDITING, succeeded=count)


# Plain data.


def test_what_has_ended_before_counts() -> None:
    progress = RunProgress("editing", 100, ended_before=40, succeeded=8, failed=2, rate=0.5)
    assert (progress.ended, progress.share, progress.eta_s) == (50, 0.5, 100.0)


@pytest.mark.parametrize(
    ("progress", "eta_s"),
    [
        (RunProgress("editing", 10), None),
        (RunProgress("editing", 10, rate=2.0, stopping=True), None),
        (RunProgress("editing", 10, succeeded=10, rate=2.0), 0.0),
        (RunProgress("editing", 0), 0.0),
    ],
)
def test_what_is_left_is_only_told_if_it_is_known(
    progress: RunProgress, eta_s: float | None
) -> None:
    assert progress.eta_s == eta_s


def test_a_rate_is_that_of_lately() -> None:
    recent = RecentRate(window_s=100.0)
    assert recent.rate is None
    for second in range(1001):
        recent.add(float(second), second)
    assert recent.rate == pytest.approx(1.0)
    for second in range(1, 201):
        recent.add(1000.0 + second, 1000 + 5 * second)
    assert recent.rate == pytest.approx(5.0)


def test_a_slow_run_has_a_rate_too() -> None:
    """Eight rows every ten minutes, and a window of five."""
    recent = RecentRate(window_s=300.0)
    for minute in range(121):
        recent.add(60.0 * minute, 8 * (minute // 10))
        # It sinks while nothing ends, and not to nothing.
        if minute >= 20:
            assert 0.6 * 8 / 600 < (recent.rate or 0.0) < 1.001 * 8 / 600


def test_a_rate_needs_a_row_that_has_ended() -> None:
    recent = RecentRate()
    for second in range(1000):
        recent.add(float(second), 7)
    assert recent.rate is None


@given(steps=st.lists(st.tuples(st.floats(0.01, 50), st.integers(0, 5)), max_size=300))
def test_a_rate_is_between_the_slowest_and_the_fastest(steps: list[tuple[float, int]]) -> None:
    recent, at_s, rows = RecentRate(window_s=60.0), 0.0, 0
    recent.add(0.0, 0)
    for seconds, more in steps:
        at_s, rows = at_s + seconds, rows + more
        recent.add(at_s, rows)
    if recent.rate is None:
        return
    rates = [more / seconds for seconds, more in steps]
    assert min(rates) * 0.999 <= recent.rate <= max(rates) * 1.001


# Plain lines.


def test_a_phase_is_told_once() -> None:
    console = plain()
    with bulk_progress(console, Clock()) as take:
        for phase in ("starting Ray", "starting Ray", "loading the model", "editing", "editing"):
            take(RunProgress(phase, 1000))
    assert [line.partition(":")[0] for line in printed(console)] == [
        "starting Ray",
        "loading the model",
        "editing",
    ]


def test_a_fast_run_is_a_line_each_tenth() -> None:
    console = plain()
    with bulk_progress(console, Clock()) as take:
        for count in range(1001):
            take(ended(count))
    lines = printed(console)
    assert len(lines) == 11
    assert [line.split(" (")[1].split(" %")[0] for line in lines] == [
        str(ten) for ten in range(0, 101, 10)
    ]


def test_a_slow_run_is_a_line_now_and_then() -> None:
    console, clock = plain(), Clock()
    with bulk_progress(console, clock) as take:
        for second in range(301):
            clock.now = float(second)
            take(ended(second // 100))
    assert len(printed(console)) == 1 + 10


def test_a_line_says_what_there_is_to_know() -> None:
    console = plain()
    verdicts = {"fail": 3, "pass": 1190, "pass_unverified": 0}
    progress = RunProgress(
        "editing", 10000, 40, 1193, 7, verdicts, in_flight=16, elapsed_s=600.0, rate=2.0
    )
    with bulk_progress(console, Clock()) as take:
        take(progress)
        take(replace(progress, stopping=True))
    first, second = printed(console)
    assert first == (
        "editing: 1,240/10,000 rows (12 %), 2.0 rows/s, about 1 h 13 min left, 7 failed, "
        "pass 1,190, fail 3"
    )
    assert second.endswith("(stopping)")
    assert "left" not in second


def test_a_slow_pace_is_told_by_the_row() -> None:
    console = plain()
    with bulk_progress(console, Clock()) as take:
        take(replace(EDITING, rate=0.02))
    assert "50.0 s/row" in printed(console)[0]


def test_a_run_of_no_rows_is_shown() -> None:
    console = plain()
    with bulk_progress(console, Clock()) as take:
        take(RunProgress("writing results", 0))
    assert printed(console) == ["writing results: 0/0 rows (100 %)"]


# The live view.


def test_a_terminal_shows_a_bar() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with bulk_progress(console) as take:
        take(replace(EDITING, succeeded=400, failed=100, verdicts={"pass": 400}))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "500/1,000 rows (50 %)" in shown
    assert "100 failed" in shown
    assert "pass 400" in shown


@pytest.mark.parametrize("width", [20, 60, 200])
def test_the_view_fits_two_lines(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(
        view(
            RunProgress(
                "finishing the edits in flight",
                1_000_000,
                succeeded=123_456,
                failed=789,
                verdicts={"pass": 100_000, "pass_unverified": 20_000, "fail": 3_456},
                in_flight=64,
                rate=12.5,
                stopping=True,
            )
        )
    )
    lines = printed(console)
    assert len(lines) == 2
    assert all(len(line) <= width for line in lines)
