"""Figures in sentences."""

from __future__ import annotations

import pytest

from serve_app.workflows.ab_tests.wording import (
    chance,
    joined,
    percent,
    points,
    probability,
    rate,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0%"),
        (0.05, "5.00%"),
        (0.09999, "10.0%"),
        (1, "100%"),
        (0.000123, "0.0123%"),
        (1e-9, "1.00e-07%"),
    ],
)
def test_rates_have_three_digits(share: float, text: str) -> None:
    assert rate(share) == text


def test_settings_are_said_as_they_are() -> None:
    assert percent(0.2) == "20%"
    assert percent(1 - 0.05) == "95%"
    assert percent(0.125) == "12.5%"


def test_chances_are_never_certain() -> None:
    assert [chance(p) for p in (0, 0.5, 0.9991, 1)] == ["< 0.1%", "50.0%", "> 99.9%", "> 99.9%"]


def test_differences_have_a_sign() -> None:
    assert [points(one) for one in (0.0043, -0.01, 0.0)] == ["+0.430", "-1.00", "0"]


def test_probabilities() -> None:
    assert [probability(p) for p in (0.0321, 1e-9, 1)] == ["= 0.032", "< 0.0001", "= 1"]


def test_lists() -> None:
    assert joined(["A"]) == "A"
    assert joined(["A", "B", "C"], "or") == "A, B or C"
