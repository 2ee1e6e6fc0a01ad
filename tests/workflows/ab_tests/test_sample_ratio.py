"""The sample-ratio check against scipy, and what it lets pass."""

from __future__ import annotations

import pytest
from scipy import stats

from serve_app.workflows.ab_tests.sample_ratio import sample_ratio
from tests.workflows.ab_tests.tables import ab_test, random_tests


def test_it_is_the_chi_square_test_of_the_units() -> None:
    for test in random_tests(1, 30):
        trials = [arm.trials for arm in test.arms]
        assert sample_ratio(test).p == pytest.approx(stats.chisquare(trials).pvalue, abs=1e-12)


def test_an_uneven_split_is_measured_against_its_own_plan() -> None:
    test = ab_test((100, 20_100), (50, 9_900), allocation={"A": 2, "B": 1})
    found = sample_ratio(test)
    assert found.expected == pytest.approx({"A": 20_000, "B": 10_000})
    assert found.p == pytest.approx(stats.chisquare([20_100, 9_900], [20_000, 10_000]).pvalue)
    assert found.passed
    assert not sample_ratio(ab_test((100, 20_100), (50, 9_900))).passed


@pytest.mark.parametrize(("other", "passed"), [(10_460, True), (10_480, False)])
def test_the_limit_is_one_in_a_thousand(other: int, passed: bool) -> None:
    found = sample_ratio(ab_test((1, 10_000), (1, other)))
    assert found.passed is passed
    assert (found.p >= 0.001) is passed
