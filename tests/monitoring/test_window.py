"""The window: an hour of counts and samples, and nothing older."""

from __future__ import annotations

import pytest

from serve_app.monitoring.activity import Activity
from serve_app.monitoring.window import MOST_SERIES, SLOTS, WINDOW_S, Window
from tests.monitoring.clock import Clock


def requests(count: int) -> Activity:
    activity = Activity()
    for _ in range(count):
        activity.request("2xx")
    return activity


def test_what_is_older_than_an_hour_is_forgotten() -> None:
    clock = Clock()
    window = Window(clock)
    window.add(requests(1))
    window.sample({"cpu_percent": 90.0})
    clock.advance(WINDOW_S / 2)
    window.add(requests(2))
    window.sample({"cpu_percent": 10.0})
    assert window.activity().requests["2xx"] == 3
    clock.advance(WINDOW_S / 2 - 61)
    assert window.activity().requests["2xx"] == 3
    assert window.figures()["cpu_percent"].maximum == 90.0
    clock.advance(61)
    assert window.activity().requests["2xx"] == 2
    assert window.figures()["cpu_percent"].maximum == 10.0
    clock.advance(10 * WINDOW_S)
    assert window.activity() == Activity()
    assert window.figures() == {}


def test_a_figure_has_a_current_an_average_and_a_maximum() -> None:
    clock = Clock()
    window = Window(clock)
    for value in (1.0, 9.0, 2.0):
        window.sample({"cpu_percent": value})
        clock.advance(100)
    spread = window.figures()["cpu_percent"]
    assert (spread.current, spread.average, spread.maximum) == (2.0, 4.0, 9.0)
    # Reading it leaves it as it was.
    assert window.figures()["cpu_percent"] == spread


def test_it_says_how_long_it_has_been_filled() -> None:
    clock = Clock()
    window = Window(clock)
    assert window.filled_s == 0.0
    clock.advance(90)
    assert window.filled_s == 90.0
    clock.advance(5 * WINDOW_S)
    assert WINDOW_S - 60 <= window.filled_s <= WINDOW_S


@pytest.mark.parametrize("pause_s", [1.0, 60.0, 3700.0])
def test_it_never_has_more_than_an_hour_of_slots(pause_s: float) -> None:
    clock = Clock()
    window = Window(clock)
    for _ in range(5000):
        window.add(requests(1))
        clock.advance(pause_s)
    assert len(window._slots) <= SLOTS
    assert window.activity().requests["2xx"] <= WINDOW_S / pause_s


def test_it_follows_so_many_figures_and_no_more() -> None:
    window = Window(Clock())
    for i in range(10_000):
        window.sample({f"figure {i}": 1.0})
    assert len(window.figures()) == MOST_SERIES
