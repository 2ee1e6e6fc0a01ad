"""Which verdict comes out, and that a winner is who it should be."""

from __future__ import annotations

from serve_app.workflows.ab_tests.comparisons import Comparison
from serve_app.workflows.ab_tests.verdict import Verdict, best_arm, best_group, verdict_on


def against(variant: str, difference: float, p: float) -> Comparison:
    return Comparison(variant, "A", difference, (-1, 1), None, p, p, p < 0.05)


def test_the_best_must_be_better_than_the_control() -> None:
    compared = [against("B", 0.01, 0.01), against("C", 0.008, 0.2)]
    assert verdict_on(compared, {"A": 0.01, "B": 0.6, "C": 0.39}) is Verdict.WINNER
    assert verdict_on(compared, {"A": 0.01, "B": 0.4, "C": 0.59}) is Verdict.LEADING


def test_the_control_wins_only_against_all() -> None:
    worse, open_ = against("B", -0.01, 0.01), against("C", -0.004, 0.2)
    assert verdict_on([worse], {"A": 0.99, "B": 0.01}) is Verdict.WINNER
    both = {"A": 0.95, "B": 0.0, "C": 0.05}
    assert verdict_on([worse, open_], both) is Verdict.LEADING
    assert verdict_on([worse, open_], both | {"A": 0.89}) is Verdict.LEADING


def test_no_difference_is_said_only_if_there_is_none() -> None:
    open_ = [against("B", -0.01, 0.06), against("C", 0.004, 0.2)]
    shares = {"A": 0.3, "B": 0.01, "C": 0.69}
    assert verdict_on(open_, shares) is Verdict.NO_DIFFERENCE_DETECTED
    assert verdict_on([*open_, against("D", -0.02, 0.01)], shares) is Verdict.LEADING


def test_the_best_are_as_many_as_it_takes() -> None:
    p_best = {"A": 0.01, "B": 0.2, "C": 0.75, "D": 0.04}
    assert best_group(p_best, ["B", "C", "D"]) == ["C", "B"]
    assert best_group(p_best, ["B"]) == ["B"]
    assert best_group(p_best | {"C": 0.95}, ["B", "C"]) == ["C"]


def test_only_what_could_be_compared_is_concluded() -> None:
    assert [one for one in Verdict if not one.concluded] == ["srm_failed", "insufficient_data"]


def test_a_lead_is_no_win() -> None:
    assert verdict_on([against("B", 0.01, 0.06)], {"A": 0.03, "B": 0.97}) is Verdict.LEADING


def test_of_equals_the_first_is_named() -> None:
    assert best_arm({"A": 0.2, "B": 0.4, "C": 0.4}) == "B"
