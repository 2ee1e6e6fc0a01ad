"""Tests analysed to the end: verdict, winner, words, and how often they are wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from serve_app.workflows.ab_tests.ab_test import AbTest, Unit
from serve_app.workflows.ab_tests.analysis import Analysis, analyse
from serve_app.workflows.ab_tests.sample_size import units_per_arm
from tests.workflows.ab_tests.tables import ab_test, any_test


def analysed(*counts: tuple[int, int], **plan: Any) -> Analysis:
    return analyse(ab_test(*counts, **plan))


def test_a_winner_is_better_than_the_control_and_no_more_is_claimed() -> None:
    found = analysed((600, 12_000), (700, 12_000), (780, 12_000), (400, 12_000))
    assert (found.verdict, found.winner) == ("winner", "C")
    said = found.recommendation
    assert "C over A: it is better than the control, 6.50% against 5.00%" in said
    assert "B was significantly better than the control." in said
    assert "D was significantly worse than the control." in said
    assert "C was not compared with B and D" in said


def test_two_that_are_as_good_are_both_named() -> None:
    found = analysed((500, 10_000), (600, 10_000), (601, 10_000), (300, 10_000), minimum_effect=0.3)
    assert (found.verdict, found.winner) == ("winner", "C")
    assert found.p_best["C"] < 0.55
    said = found.recommendation
    assert said.startswith("Choose B or C over A: both are better than the control")
    assert "6.00% (B) and 6.01% (C) against 5.00% conversions" in said
    assert "B may be as good as C: the chances to be the best are 48.8% (B) and 51.2% (C)" in said
    assert "D was significantly worse than the control." in said
    assert "not compared with each other" in said


def test_the_control_can_win() -> None:
    found = analysed((720, 12_000), (600, 12_000), (500, 12_000))
    assert (found.verdict, found.winner) == ("winner", "A")
    assert found.recommendation == ("Keep A: B and C were significantly worse than this control.")


def test_a_leader_has_not_won() -> None:
    found = analysed((500, 10_000), (560, 10_000))
    assert (found.verdict, found.winner) == ("leading", None)
    assert found.p_best["B"] > 0.9
    assert "No decision yet: B leads" in found.recommendation
    assert "not shown to be better than the control A (p = 0.058)" in found.recommendation


def test_a_leading_control_is_told_apart_from_a_winner() -> None:
    found = analysed((720, 12_000), (660, 12_000), (500, 12_000))
    assert (found.verdict, found.winner) == ("leading", None)
    assert "was not shown to be better than B." in found.recommendation


def test_no_difference_may_be_a_small_one() -> None:
    found = analysed((500, 10_000), (510, 10_000))
    assert (found.verdict, found.winner) == ("no_difference_detected", None)
    assert found.recommendation == (
        "No difference from the control A was found. A difference smaller than 20% of the "
        "control's rate may exist all the same; one of that size is found with a chance of 87.4% "
        "by 10,000 impressions per variant."
    )


def test_the_power_told_is_that_of_the_smallest_arm() -> None:
    found = analysed((372, 7_432), (380, 7_700))
    assert found.verdict == "no_difference_detected"
    assert found.size.power < found.test.power
    assert "with a chance of 76.4% by 7,432 impressions" in found.recommendation


def test_what_is_worse_is_told_though_nobody_wins() -> None:
    found = analysed((1000, 20_000), (800, 20_000), (1002, 20_000))
    assert (found.verdict, found.winner) == ("leading", None)
    assert found.recommendation == (
        "No decision yet: B was significantly worse than the control. A and C can't be told apart. "
        "Run a larger test before you choose."
    )
    found = analysed((1000, 20_000), (800, 20_000), (1002, 20_000), (1010, 20_000))
    assert "C and D can't be told apart from the control A." in found.recommendation


def test_too_little_data_is_no_result_however_it_looks() -> None:
    found = analysed((0, 100), (20, 100))
    assert found.comparisons[0].p < 0.001
    assert (found.verdict, found.winner) == ("insufficient_data", None)
    found = analysed((50, 1000), (60, 900))
    assert found.verdict == "insufficient_data"
    assert "every variant needs 8,143 impressions. B lacks 7,243 more" in found.recommendation
    assert "A lacks 7,143 more" in found.recommendation


def test_a_broken_split_blocks_everything() -> None:
    found = analysed((500, 10_000), (900, 12_000))
    assert (found.verdict, found.winner) == ("srm_failed", None)
    assert (found.comparisons, found.p_best, found.expected_loss) == ((), {}, {})
    assert found.omnibus_p is None
    assert "were not split as planned" in found.recommendation


def test_repeated_views_are_a_caveat_unless_users_are_counted() -> None:
    assert "repeated views" in analysed((500, 10_000), (510, 10_000)).caveats[0]
    assert analysed((500, 10_000), (510, 10_000), unit=Unit.USERS).caveats == ()


def test_single_intervals_beside_corrected_p_values_are_a_caveat() -> None:
    found = analysed((600, 12_000), (678, 12_000), (600, 12_000), (590, 12_000))
    assert found.comparisons[0].interval[0] > 0
    assert not found.comparisons[0].significant
    assert "an interval may leave out 0" in found.caveats[-1]
    found = analysed((600, 12_000), (780, 12_000), (600, 12_000))
    assert found.verdict == "winner"
    assert "p values are corrected for all" in found.caveats[-1]


def test_a_refuted_plan_is_a_caveat() -> None:
    found = analysed((40, 800), (60, 800), baseline=0.5)
    assert found.verdict == "insufficient_data"
    assert "A was planned with a rate of 50% and has 5.00%" in found.caveats[-1]
    assert len(analysed((400, 800), (440, 800), baseline=0.5).caveats) == 1
    found = analysed((0, 800), (60, 800), baseline=0.5)
    assert found.size.open_ended
    assert found.caveats[-1] == "A has no conversions yet, so the size needed is a lower bound."


@pytest.mark.parametrize(("looks", "said"), [(1, "once before"), (3, "3 times before")])
def test_later_looks_are_a_caveat(looks: int, said: str) -> None:
    test = ab_test((500, 10_000), (600, 10_000), unit=Unit.USERS)
    assert analyse(test).caveats == ()
    (caveat,) = analyse(test, looks=looks).caveats
    assert said in caveat
    assert "hold for the first look only" in caveat


def test_the_answer_is_json_with_its_time() -> None:
    moment = datetime(2027, 1, 2, 3, 4, 5, 678_900, UTC)
    answer = analyse(ab_test((500, 10_000), (600, 10_000)), moment).to_json()
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert answer["created_at"] == "2027-01-02T03:04:05.678+00:00"
    assert answer["needed_per_variant"] == answer["sample_size"]["needed"] == 8_143


@given(any_test())
@settings(max_examples=40, deadline=None)
def test_whatever_was_counted_has_one_of_the_verdicts(test: AbTest) -> None:
    found = analyse(test)
    assert (found.winner is not None) == (found.verdict == "winner")
    assert found.recommendation.isascii()
    json.dumps(found.to_json(), allow_nan=False)


# How often it is wrong: small runs of what `benchmarks/ab_tests.py` measures.


def share_of_winners(rates: list[float], trials: int, runs: int, seed: int) -> float:
    draws = np.random.default_rng(seed).binomial(trials, rates, (runs, len(rates)))
    found = [analysed(*((int(x), trials) for x in row)).verdict for row in draws]
    return found.count("winner") / runs  # type: ignore[arg-type]


def test_five_equal_arms_seldom_have_a_winner() -> None:
    trials = units_per_arm(0.05, 0.06, significance=0.0125, power=0.8)
    assert share_of_winners([0.05] * 5, trials, 200, 7) <= 0.05


def test_the_planned_effect_is_found_at_the_printed_size() -> None:
    trials = units_per_arm(0.05, 0.06, significance=0.05, power=0.8)
    assert share_of_winners([0.05, 0.06], trials, 300, 8) == pytest.approx(0.8, abs=0.08)
