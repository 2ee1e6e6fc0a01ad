"""p values, their correction, and the omnibus test, against scipy and statsmodels."""

from __future__ import annotations

import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

from serve_app.workflows.ab_tests.comparisons import comparisons, holm, omnibus_p
from tests.workflows.ab_tests.tables import ab_test, random_tests

TABLES = random_tests(3, 40)


def test_the_omnibus_test_is_pearsons_chi_square() -> None:
    for test in TABLES:
        table = [[arm.successes for arm in test.arms], [arm.failures for arm in test.arms]]
        known = stats.chi2_contingency(table, correction=False).pvalue
        assert omnibus_p(test.arms) == pytest.approx(known, abs=1e-11)


def test_each_variant_is_compared_with_the_control() -> None:
    for test in TABLES[:3]:  # statsmodels collects garbage at every correction
        control = test.control_arm
        known = [
            proportions_ztest([arm.successes, control.successes], [arm.trials, control.trials])[1]
            for arm in test.others
        ]
        found = comparisons(test)
        assert [one.variant for one in found] == [arm.name for arm in test.others]
        assert [one.p for one in found] == pytest.approx(known, abs=1e-11)
        significant, corrected, *_ = multipletests(known, 0.05, "holm")
        assert [one.p_corrected for one in found] == pytest.approx(corrected, abs=1e-11)
        assert [one.significant for one in found] == list(significant)


def test_holm_keeps_the_order_and_its_ties() -> None:
    assert holm([0.01, 0.04, 0.03, 0.01]) == pytest.approx([0.04, 0.06, 0.06, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize("successes", [(0, 0), (100, 100)])
def test_arms_without_variance_do_not_differ(successes: tuple[int, int]) -> None:
    test = ab_test(*((count, 100) for count in successes))
    assert omnibus_p(test.arms) == 1
    (one,) = comparisons(test)
    assert (one.p, one.p_corrected, one.significant) == (1, 1, False)


def test_a_control_without_success_has_no_lift() -> None:
    (one,) = comparisons(ab_test((0, 1000), (20, 1000)))
    assert one.lift is None
    assert one.better
    (other,) = comparisons(ab_test((500, 10_000), (600, 10_000)))
    assert other.lift == pytest.approx(0.2)
