"""Planned sizes against statsmodels, and the gate that they are."""

from __future__ import annotations

from math import ceil

import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from serve_app.workflows.ab_tests.sample_size import power_of, sample_size, units_per_arm
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


@pytest.mark.parametrize("units", [50, 8_143, 10_000, 40_000])
def test_power_is_that_of_statsmodels(units: int) -> None:
    found = power_of(units, 0.05, 0.06, significance=0.025)
    effect = proportion_effectsize(0.06, 0.05)
    assert found == pytest.approx(NormalIndPower().power(effect, units, 0.025), abs=1e-12)


def test_power_is_of_the_smallest_arm_at_the_rate_that_was_found() -> None:
    size = sample_size(ab_test((500, 10_000), (640, 12_000), baseline=0.052))
    assert size.power == power_of(10_000, 0.05, 0.06, significance=0.05)


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
    """The control comes out above or below; the gate lets all but 1 in 500 pass."""
    needed = units_per_arm(0.05, 0.06, significance=0.05, power=0.8)
    counts = stats.binom(needed, 0.05)
    refused = max(
        control
        for control in range(int(counts.ppf(1e-6)), int(counts.mean()))
        if not sample_size(ab_test((control, needed), (400, needed))).reached
    )
    assert counts.cdf(refused) < 0.002


@pytest.mark.parametrize("effect", [0.2, 0.5, 1.0, 2.0])
def test_the_gate_is_no_way_around_the_plan(effect: float) -> None:
    """For large effects few units are needed, of which the control's bound says nothing."""
    needed = known(0.05, 0.05 * (1 + effect), 0.05, 0.8)

    def passes(successes: int) -> bool:
        arm = (successes, 20 * successes)  # 5 %
        return sample_size(ab_test(arm, arm, minimum_effect=effect)).enough_units

    first = 20 * next(count for count in range(1, needed) if passes(count))
    assert 0.85 * needed <= first <= needed
    assert power_of(first, 0.05, 0.05 * (1 + effect), significance=0.05) > 0.73


def test_a_plan_that_the_control_refutes_is_not_enough() -> None:
    planned = sample_size(ab_test((400, 800), (440, 800), baseline=0.5))
    assert planned.reached
    assert not planned.plan_refuted
    size = sample_size(ab_test((40, 800), (60, 800), baseline=0.5))
    unplanned = sample_size(ab_test((40, 800), (60, 800)))
    assert size.plan_refuted
    assert not size.reached
    assert (size.needed, size.required) == (unplanned.needed, unplanned.required)
    assert size.missing == {"A": 7_343, "B": 7_343}


def test_a_control_that_is_better_than_planned_does_not_shorten_the_plan() -> None:
    size = sample_size(ab_test((600, 6_000), (700, 6_000), baseline=0.05))
    assert size.plan_refuted
    assert size.needed == size.required == known(0.05, 0.06, 0.05, 0.8)
    assert not size.reached


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
    plan = {"minimum_effect": 10.0, "baseline": successes[0] / 10_000}
    size = sample_size(ab_test(*counts, **plan))
    assert size.enough_units
    assert not size.reached
