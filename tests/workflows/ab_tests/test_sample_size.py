"""Planned sizes against statsmodels, and the gate that they are."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from serve_app.workflows.ab_tests.sample_size import sample_size, units_per_arm
from tests.workflows.ab_tests.tables import ab_test


def known(rate: float, target: float, significance: float, power: float) -> int:
    return ceil(
        NormalIndPower().solve_power(
            proportion_effectsize(target, rate), None, significance, power, 1, "two-sided"
        )
    )


@pytest.mark.parametrize(
    ("rate", "target", "significance", "power"),
    [
        (0.05, 0.06, 0.05, 0.8),
        (0.05, 0.06, 0.0125, 0.8),
        (0.001, 0.0012, 0.05, 0.9),
        (0.5, 0.4, 0.01, 0.5),
        (0.9, 0.99, 0.05, 0.95),
    ],
)
def test_sizes_are_those_of_statsmodels(
    rate: float, target: float, significance: float, power: float
) -> None:
    found = units_per_arm(rate, target, significance=significance, power=power)
    assert found == known(rate, target, significance, power)


def test_the_size_in_the_literature() -> None:
    assert units_per_arm(0.05, 0.055, significance=0.05, power=0.8) == 31_218


def test_more_variants_need_more_units() -> None:
    two = sample_size(ab_test((500, 10_000), (500, 10_000)))
    assert two.needed == known(0.05, 0.06, 0.05, 0.8)
    five = sample_size(ab_test(*[(500, 10_000)] * 5))
    assert five.significance == pytest.approx(0.0125)
    assert five.needed == known(0.05, 0.06, 0.0125, 0.8)


def test_without_a_plan_the_size_required_is_that_of_the_highest_likely_rate() -> None:
    size = sample_size(ab_test((500, 10_000), (500, 10_000)))
    upper = stats.beta.ppf(0.999, 501, 9_500)
    assert size.required == known(upper, 1.2 * upper, 0.05, 0.8)
    assert size.required < size.needed


def test_a_test_of_the_printed_size_is_not_refused_by_chance() -> None:
    """The control comes out above or below; the gate lets all but 1 in 1,000 pass."""
    needed = units_per_arm(0.05, 0.06, significance=0.05, power=0.8)
    draw = np.random.default_rng(6)
    for control in draw.binomial(needed, 0.05, 300):
        assert sample_size(ab_test((int(control), needed), (400, needed))).reached


@pytest.mark.parametrize(("short", "reached"), [(0, True), (1, False)])
def test_a_plan_is_held_to_the_unit(short: int, reached: bool) -> None:
    needed = known(0.05, 0.06, 0.05, 0.8)
    size = sample_size(ab_test((450, needed), (470, needed - short), baseline=0.05))
    assert size.needed == size.required == needed
    assert size.reached is reached
    assert size.missing == ({"B": 1} if short else {})


def test_a_control_without_success_gives_a_lower_bound() -> None:
    size = sample_size(ab_test((0, 1000), (30, 1000)))
    upper = 1 - 0.001 ** (1 / 1000)
    assert size.baseline == pytest.approx(upper)
    assert size.needed == known(upper, 1.2 * upper, 0.05, 0.8)
    assert size.open_ended
    assert not size.reached


def test_a_rate_that_cannot_rise_so_far_is_planned_to_fall() -> None:
    size = sample_size(ab_test((900, 1000), (930, 1000)))
    assert size.target == pytest.approx(0.72)
    assert size.needed == known(0.9, 0.72, 0.05, 0.8)


@pytest.mark.parametrize("successes", [(4, 4), (9_996, 9_996)])
def test_too_few_of_either_kind_are_not_enough(successes: tuple[int, int]) -> None:
    counts = [(one, 10_000) for one in successes]
    size = sample_size(ab_test(*counts, minimum_effect=0.9, baseline=0.5))
    assert size.enough_units
    assert not size.reached
