"""What is learned from steps, and what is assumed before."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.costs import StepCosts


def learned(*steps: tuple[int, int, float], times: int = 3) -> StepCosts:
    costs = StepCosts()
    for tokens, rows, seconds in steps:
        for _ in range(times):
            costs.observe(tokens, rows, seconds)
    return costs


def test_nothing_is_known_before_three_steps() -> None:
    assert learned((1000, 1, 0.5), times=2).seconds(1000, 1) == 0.0
    assert learned((1000, 1, 0.5)).seconds(1000, 1) == pytest.approx(0.5)


def test_a_step_that_met_a_busy_moment_does_not_count() -> None:
    costs = learned((1000, 1, 0.5), times=5)
    costs.observe(1000, 1, 30.0)
    assert costs.seconds(1000, 1) == pytest.approx(0.5)


def test_more_rows_than_were_tried_are_taken_for_free_so_that_they_are_tried() -> None:
    costs = learned((1000, 2, 0.6))
    assert costs.seconds(1000, 8) == costs.seconds(1000, 2) == pytest.approx(0.6)
    assert costs.seconds(1000, 1) == pytest.approx(0.3)


def test_between_two_measured_numbers_of_rows_the_cost_is_a_line() -> None:
    costs = learned((1000, 2, 0.4), (1000, 6, 0.8))
    assert costs.seconds(1000, 3) == pytest.approx(0.5)


def test_canvases_of_one_area_share_what_is_known() -> None:
    costs = learned((1000, 1, 0.5))
    assert costs.seconds(1010, 1) == pytest.approx(0.505)


def test_a_size_never_seen_is_estimated_from_the_nearest() -> None:
    costs = learned((1000, 1, 0.5), (8000, 1, 8.0))
    assert costs.seconds(6000, 1) == pytest.approx(6.0)
    assert costs.seconds(1500, 1) == pytest.approx(0.75)


def test_the_best_share_is_that_of_the_cheapest_row() -> None:
    assert learned((1000, 1, 0.5), (1000, 4, 1.0)).least_share(1000) == pytest.approx(0.25)
    assert StepCosts().least_share(1000) == 0.0


def test_what_was_long_not_seen_is_tried_again() -> None:
    costs = learned((1000, 4, 9.0), (1000, 1, 0.5))
    assert costs.seconds(1000, 4) == pytest.approx(9.0)
    for _ in range(2000):
        costs.observe(1000, 1, 0.5)
    assert costs.seconds(1000, 4) == pytest.approx(0.5)


@given(
    st.lists(
        st.tuples(st.integers(16, 40_000), st.integers(1, 16), st.floats(1e-5, 100.0)), max_size=60
    ),
    st.integers(16, 40_000),
    st.integers(1, 16),
)
def test_estimates_are_always_numbers(
    steps: list[tuple[int, int, float]], tokens: int, rows: int
) -> None:
    costs = StepCosts()
    for step in steps:
        costs.observe(*step)
    for estimate in (costs.seconds(tokens, rows), costs.least_share(tokens)):
        assert math.isfinite(estimate)
        assert estimate >= 0.0


@given(
    st.floats(1e-6, 1e-2),
    st.floats(0.05, 1.0),
    st.lists(st.integers(1, 8), min_size=40, max_size=60),
)
def test_a_linear_device_is_learned(per_token: float, marginal: float, batches: list[int]) -> None:
    def true(rows: int) -> float:
        return 2000 * per_token * (1 + marginal * (rows - 1))

    costs = StepCosts()
    for rows in [1, 8, *batches, 1, 8, 1, 8]:
        costs.observe(2000, rows, true(rows))
    assert [costs.seconds(2000, n) for n in range(1, 9)] == pytest.approx(
        [true(n) for n in range(1, 9)]
    )
