"""How many units each arm needs, and whether the test has them.

A test that is looked at while it runs shows a "winner" sooner or later although there is none,
so nothing is concluded before the planned size. With a ``baseline`` the size comes from the
plan. Without one it has to come from the control's own rate, which is itself uncertain:

- ``needed`` is the size at the rate that was observed, the number that is printed;
- ``required`` is what the arms are held to: the size at the upper 99.9 % confidence bound of
  that rate, which is smaller, since higher rates need fewer units, but never less than 85 % of
  ``needed``. A test that was run to exactly the printed size would otherwise miss it in half of
  all cases, whenever the control came out a little lower than it had been.

The 85 % are what keeps this from being a way around the plan: for large effects few units are
needed, and of few the bound says next to nothing. 85 % of the size still finds the minimum effect
with 73 % where 80 % were asked for. At 5 % and a minimum effect of 20 % a test of exactly the
printed size passes with 99.9 %; at 50 % with 90 %, at 100 % with 72 %. What does not pass is told
how many units it lacks.

A plan that the test itself refutes is no plan: where the interval of the control's rate leaves
out the ``baseline``, the arms are held to the larger one of both sizes.

With other than equal shares every arm must have ``needed`` units still: then each comparison has
at least the planned power.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

from scipy import optimize, special
from statsmodels.stats.proportion import proportion_effectsize

from serve_app.workflows.ab_tests.ab_test import AbTest
from serve_app.workflows.ab_tests.intervals import wilson

_RATE_CONFIDENCE = 0.999

_LEAST_SHARE = 0.85
"""Of the printed size: 3 standard errors of the control's rate at 5 % and an effect of 20 %."""

LEAST_EXPECTED = 5.0
"""Successes and failures that each arm must be expected to have: below, p values of chi-square
and z tests are not to be trusted (Cochran, "Some Methods for Strengthening the Common Chi-Square
Tests", Biometrics 1954)."""


@dataclass(frozen=True, slots=True)
class SampleSize:
    """What a test needs of every arm, and what it has.

    ``baseline`` is the rate that the size is for and ``target`` the one to tell from it, 0 to
    1; ``significance`` is that of one comparison. ``missing`` units by arm, where there are
    less than ``needed``. ``power`` is the chance (0 to 1) to find the minimum effect on the
    rate that the control has, by the units of the smallest arm. ``plan_refuted`` says that the
    control's rate isn't the planned one, ``open_ended`` that it had no success, so that the
    ``needed`` size is only a lower bound.
    """

    baseline: float
    target: float
    significance: float
    needed: int
    required: int
    missing: dict[str, int]
    smallest_arm: int
    power: float
    plan_refuted: bool
    open_ended: bool
    enough_successes: bool

    @property
    def enough_units(self) -> bool:
        """Whether every arm has the units required."""
        return self.smallest_arm >= self.required

    @property
    def reached(self) -> bool:
        """Whether something may be concluded."""
        return self.enough_units and self.enough_successes

    def to_json(self) -> dict[str, Any]:
        """As in the answer."""
        return {
            "baseline": self.baseline,
            "target": self.target,
            "significance": self.significance,
            "needed": self.needed,
            "required": self.required,
            "missing": self.missing,
            "reached": self.reached,
            "power": self.power,
        }


def sample_size(test: AbTest) -> SampleSize:
    """The size that ``test`` needs, by its plan, by its control, or by both."""
    significance = test.significance / len(test.others)
    control = test.control_arm
    upper = _upper_bound(control.successes, control.trials)
    # Of a control without successes only what its rate can be at most is known.
    observed = control.rate if control.successes else upper

    def size(rate: float) -> int:
        return units_per_arm(
            rate, _target(rate, test.minimum_effect), significance=significance, power=test.power
        )

    baseline, needed = observed, size(observed)
    required = min(needed, max(size(upper), ceil(_LEAST_SHARE * needed)))
    refuted = False
    if test.baseline is not None:
        planned = size(test.baseline)
        low, high = wilson(control, test.significance)
        refuted = not low <= test.baseline <= high
        required = max(planned, required) if refuted else planned
        if not refuted or planned >= needed:
            baseline, needed = test.baseline, planned
    smallest = min(arm.trials for arm in test.arms)
    return SampleSize(
        baseline,
        _target(baseline, test.minimum_effect),
        significance,
        needed,
        required,
        {arm.name: needed - arm.trials for arm in test.arms if arm.trials < needed},
        smallest,
        power_of(
            smallest, observed, _target(observed, test.minimum_effect), significance=significance
        ),
        refuted,
        baseline != test.baseline and control.successes == 0,
        smallest * min(test.pooled_rate, 1 - test.pooled_rate) >= LEAST_EXPECTED,
    )


def units_per_arm(rate: float, target: float, *, significance: float, power: float) -> int:
    """Units of each of two equal arms whose rates are ``rate`` and ``target``, 0 to 1.

    For the two-sided test of their arcsine-transformed rates (Cohen, "Statistical Power Analysis
    for the Behavioral Sciences", ch. 6). ``statsmodels``'s ``NormalIndPower`` says the same where
    its root finder converges, which for very large effects it doesn't.
    """
    effect = abs(float(proportion_effectsize(target, rate)))
    return ceil(2 * (_detectable(significance, power) / effect) ** 2)


def power_of(units: int, rate: float, target: float, *, significance: float) -> float:
    """The chance (0 to 1) to tell ``target`` from ``rate`` by two arms of so many ``units``.

    Of the same test as ``units_per_arm`` is for.
    """
    effect = abs(float(proportion_effectsize(target, rate)))
    return _found(effect * sqrt(units / 2), _critical(significance))


def _detectable(significance: float, power: float) -> float:
    """The mean that a unit normal variable must have to be found with ``power``."""
    z = _critical(significance)
    # One tail alone gives an upper bound; at 0 the power is the significance.
    highest = z + float(special.ndtri(power))
    return float(
        optimize.brentq(
            lambda mean: power - _found(mean, z), 0.0, highest + 1, xtol=1e-13, rtol=1e-14
        )
    )


def _found(mean: float, z: float) -> float:
    """The chance that a unit normal variable with this ``mean`` is beyond -z or z."""
    return float(special.ndtr(mean - z) + special.ndtr(-mean - z))


def _critical(significance: float) -> float:
    return -float(special.ndtri(significance / 2))


def _target(rate: float, minimum_effect: float) -> float:
    """The rate to tell from ``rate``: higher, or lower by as much where that is impossible."""
    higher = rate * (1 + minimum_effect)
    return higher if higher <= 1 else max(0.0, rate * (1 - minimum_effect))


def _upper_bound(successes: int, trials: int) -> float:
    """One-sided exact (Clopper-Pearson) bound of a rate."""
    if successes == trials:
        return 1.0
    return float(special.betaincinv(successes + 1, trials - successes, _RATE_CONFIDENCE))
