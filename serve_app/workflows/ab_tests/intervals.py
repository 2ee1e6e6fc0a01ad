"""Confidence intervals of a rate, and of the difference of two."""

from __future__ import annotations

from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from serve_app.workflows.ab_tests.ab_test import Arm

Interval = tuple[float, float]
"""Lower and upper bound."""


def wilson(arm: Arm, significance: float) -> Interval:
    """Score interval of ``arm``'s rate, within 0 to 1, at confidence 1 - ``significance``.

    Wilson, "Probable Inference", JASA 1927. Unlike the textbook interval it is right for few
    successes, and not of width 0 for none.
    """
    low, high = proportion_confint(arm.successes, arm.trials, significance, method="wilson")
    # Exact at the ends, where rounding would leave a rest.
    lower = 0.0 if arm.successes == 0 else max(0.0, float(low))
    upper = 1.0 if arm.failures == 0 else min(1.0, float(high))
    return lower, upper


def newcombe(arm: Arm, control: Arm, significance: float) -> Interval:
    """Interval of ``arm``'s rate minus ``control``'s, at confidence 1 - ``significance``.

    Newcombe's hybrid of two Wilson intervals, method 10 of "Interval Estimation for the
    Difference between Independent Proportions", Statistics in Medicine 1998.
    """
    low, high = confint_proportions_2indep(
        arm.successes,
        arm.trials,
        control.successes,
        control.trials,
        method="newcomb",
        alpha=significance,
    )
    return max(-1.0, float(low)), min(1.0, float(high))
