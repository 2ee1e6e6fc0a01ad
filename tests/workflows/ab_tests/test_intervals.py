"""Wilson's and Newcombe's intervals against statsmodels."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from serve_app.workflows.ab_tests.ab_test import AbTest, Arm
from serve_app.workflows.ab_tests.intervals import newcombe, wilson
from tests.workflows.ab_tests.tables import any_test, random_tests

TABLES = [*random_tests(2, 30)]


@pytest.mark.parametrize("significance", [0.05, 0.001])
def test_wilson(significance: float) -> None:
    for test in TABLES:
        for arm in test.arms:
            known = proportion_confint(arm.successes, arm.trials, significance, "wilson")
            assert wilson(arm, significance) == pytest.approx(known, abs=1e-12)


def test_newcombe() -> None:
    for test in TABLES:
        control = test.control_arm
        for arm in test.others:
            known = confint_proportions_2indep(
                *(arm.successes, arm.trials, control.successes, control.trials),
                method="newcomb",
                compare="diff",
            )
            assert newcombe(arm, control, 0.05) == pytest.approx(known, abs=1e-12)


def test_newcombes_own_example() -> None:
    """Table II of the paper: 56/70 against 48/80, to the four digits printed there."""
    low, high = newcombe(Arm("B", 56, 70), Arm("A", 48, 80), 0.05)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


@given(any_test())
@settings(max_examples=60, deadline=None)
def test_intervals_hold_their_rates(test: AbTest) -> None:
    for arm in test.arms:
        low, high = wilson(arm, 0.05)
        assert 0 <= low <= arm.rate <= high <= 1
        low, high = newcombe(arm, test.control_arm, 0.05)
        assert -1 <= low <= arm.rate - test.control_arm.rate <= high <= 1
