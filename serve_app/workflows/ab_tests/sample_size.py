"""How many units each arm needs, and whether the test has them.

A test that is looked at while it runs shows a "winner" sooner or later although there is none,
so nothing is concluded before the planned size. With a ``baseline`` the size comes from the
plan. Without one it has to come from the control's own rate, which is itself uncertain:

- ``needed`` is the size at the rate that was observed, the number that is printed;
- ``required`` is what the arms are held to: the size at the upper 99.9 % confidence bound of
  that rate, which is smaller, since higher rates need fewer units. A test that was run to
  exactly the printed size would otherwise miss it in half of all cases, whenever the control
  came out a little lower than it had been. The bound closes in on the rate as units come in, so
  this is no way around the plan: at 5 % and a minimum effect of 20 % it allows 14 % less.

With other than equal shares every arm must have ``needed`` units still: then each comparison has
at least the planned power.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from scipy import optimize, special
from statsmodels.stats.proportion import proportion_effectsize

from serve_app.workflows.ab_tests.ab_test import AbTest

_RATE_CONFIDENCE = 0.999

LEAST_EXPECTED = 5.0
"""Successes and failures that each arm must be expected to have: below, p values of chi-square
and z tests are not to be trusted (Cochran, "Some Methods for Strengthening the Common Chi-Square
Tests", Biometrics 1954)."""


@dataclass(frozen=True, slots=True)
class SampleSize:
    """What a test needs of every arm, and what it has.

    ``baseline`` is the rate that was planned with and ``target`` the one to tell from it, 0 to
    1; ``significance`` is that of one comparison. ``missing`` units by arm, where there are
    less than ``needed``. ``open_ended`` says that the control had no success, so that the
    ``needed`` size is only a lower bound.
    """

    baseline: float
    target: float
    significance: float
    needed: int
    required: int
    missing: dict[str, int]
    smallest_arm: int
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
        }


def sample_size(test: AbTest) -> SampleSize:
    """The size that ``test`` needs, by its plan or by its control."""
    significance = test.significance / len(test.others)
    control = test.control_arm
    upper = _upper_bound(control.successes, control.trials)

    def size(rate: float) -> int:
        return units_per_arm(
            rate, _target(rate, test.minimum_effect), significance=significance, power=test.power
        )

    if test.baseline is not None:
        baseline = test.baseline
        needed = required = size(baseline)
    else:
        # Of a control without successes only what its rate can be at most is known.
        baseline = control.rate if control.successes else upper
        needed = size(baseline)
        required = min(needed, size(upper))
    smallest = min(arm.trials for arm in test.arms)
    return SampleSize(
        baseline,
        _target(baseline, test.minimum_effect),
        significance,
        needed,
        required,
        {arm.name: needed - arm.trials for arm in test.arms if arm.trials < needed},
        smallest,
        test.baseline is None and control.successes == 0,
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


def _detectable(significance: float, power: float) -> float:
    """The mean that a unit normal variable must have to be found with ``power``."""
    z = -float(special.ndtri(significance / 2))

    def lacking(mean: float) -> float:
        return power - float(special.ndtr(mean - z) + special.ndtr(-mean - z))

    # One tail alone gives an upper bound; at 0 the power is the significance.
    highest = z + float(special.ndtri(power))
    return float(optimize.brentq(lacking, 0.0, highest + 1, xtol=1e-13, rtol=1e-14))


def _target(rate: float, minimum_effect: float) -> float:
    """The rate to tell from ``rate``: higher, or lower by as much where that is impossible."""
    higher = rate * (1 + minimum_effect)
    return higher if higher <= 1 else max(0.0, rate * (1 - minimum_effect))


def _upper_bound(successes: int, trials: int) -> float:
    """One-sided exact (Clopper-Pearson) bound of a rate."""
    if successes == trials:
        return 1.0
    return float(special.betaincinv(successes + 1, trials - successes, _RATE_CONFIDENCE))
