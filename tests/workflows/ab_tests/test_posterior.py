"""P(best) and expected loss against other ways to compute them."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import integrate, special, stats

from serve_app.workflows.ab_tests.ab_test import AbTest, Arm
from serve_app.workflows.ab_tests.posterior import densities, posteriors
from tests.workflows.ab_tests.tables import ab_test, any_test, random_tests


def beats(arm: Arm, other: Arm) -> float:
    """P(arm > other) as an exact sum of fractions.

    P(other's rate < t) is a binomial tail with n = a + b - 1, so the integral over arm's Beta is
    a sum of ratios of beta functions.
    """
    a, b = 1 + arm.successes, 1 + arm.failures
    c, d = 1 + other.successes, 1 + other.failures
    n = c + d - 1

    def beta(p: int, q: int) -> Fraction:
        return Fraction(1, (p + q - 1) * comb(p + q - 2, p - 1))

    whole = sum((comb(n, j) * beta(a + j, b + n - j) for j in range(c, n + 1)), Fraction(0))
    return float(whole / beta(a, b))


@pytest.mark.parametrize(
    ("first", "second"),
    [((0, 10), (0, 10)), ((3, 40), (9, 50)), ((0, 200), (5, 150)), ((60, 60), (55, 70))],
)
def test_two_arms_have_a_closed_form(first: tuple[int, int], second: tuple[int, int]) -> None:
    arms = ab_test(first, second).arms
    found = posteriors(arms)
    assert found[1].p_best == pytest.approx(beats(arms[1], arms[0]), abs=1e-12)
    assert found[0].p_best == pytest.approx(beats(arms[0], arms[1]), abs=1e-12)


def test_many_arms_agree_with_adaptive_quadrature() -> None:
    for test in random_tests(4, 4, 4):
        a = np.array([1 + arm.successes for arm in test.arms])
        b = np.array([1 + arm.failures for arm in test.arms])
        for i, found in enumerate(posteriors(test.arms)):
            rest = [j for j in range(len(a)) if j != i]

            def best(u: float, i: int = i, rest: list[int] = rest, a: Any = a, b: Any = b) -> float:
                rate = special.betaincinv(a[i], b[i], u)
                return float(special.betainc(a[rest], b[rest], rate).prod())

            edges = np.linspace(0, 1, 40)[1:-1].tolist()
            known, _ = integrate.quad(best, 0, 1, points=edges, epsabs=1e-11, limit=400)
            assert found.p_best == pytest.approx(known, abs=1e-9)


def test_losses_differ_as_the_means_do() -> None:
    """E[max - r_i] - E[max - r_j] is E[r_j] - E[r_i], which is known."""
    for test in random_tests(5, 20):
        means = [(1 + arm.successes) / (2 + arm.trials) for arm in test.arms]
        losses = [one.expected_loss for one in posteriors(test.arms)]
        assert np.add(losses, means) == pytest.approx(losses[0] + means[0], abs=1e-12)


def test_the_expected_loss_agrees_with_draws() -> None:
    arms = ab_test((50, 1000), (60, 1000), (58, 900)).arms
    draws = np.random.default_rng(0).beta(
        [1 + arm.successes for arm in arms], [1 + arm.failures for arm in arms], (400_000, 3)
    )
    known = (draws.max(1, keepdims=True) - draws).mean(0)
    assert [one.expected_loss for one in posteriors(arms)] == pytest.approx(known, abs=1e-4)


@given(any_test())
@settings(max_examples=40, deadline=None)
def test_whatever_is_counted_they_are_probabilities(test: AbTest) -> None:
    found = posteriors(test.arms)
    assert sum(one.p_best for one in found) == pytest.approx(1)
    assert all(0 <= one.p_best <= 1 for one in found)
    assert all(-1e-12 <= one.expected_loss <= 1 for one in found)


@pytest.mark.parametrize(("trials", "error"), [(10**10, 1e-9), (10**12, 1e-6)])
def test_many_units_are_as_normal_as_they_should_be(trials: int, error: float) -> None:
    arms = ab_test((trials // 2, trials), (trials // 2 + int(trials**0.5), trials)).arms
    means = [(1 + arm.successes) / (2 + trials) for arm in arms]
    normal = stats.norm.cdf((means[1] - means[0]) / np.sqrt(2 * 0.25 / trials))
    assert posteriors(arms)[1].p_best == pytest.approx(normal, abs=error)


def test_densities_are_those_of_the_posterior() -> None:
    rates = np.array([-0.1, 0.05, 0.5, 1.1])
    found = densities(ab_test((5, 100), (0, 10)).arms, rates)
    assert found.shape == (2, 4)
    assert found[0] == pytest.approx([0, stats.beta(6, 96).pdf(0.05), 0, 0], abs=1e-9)
