"""The verdict in plain words, which claim nothing that the test did not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serve_app.workflows.ab_tests.ab_test import AbTest
from serve_app.workflows.ab_tests.comparisons import Comparison
from serve_app.workflows.ab_tests.sample_ratio import SampleRatio
from serve_app.workflows.ab_tests.sample_size import LEAST_EXPECTED, SampleSize
from serve_app.workflows.ab_tests.verdict import LEADING_P_BEST, best_arm, best_group
from serve_app.workflows.ab_tests.wording import chance, joined, percent, points, probability, rate

_MOST_NAMED = 3


def on_broken_split(test: AbTest, ratio: SampleRatio) -> str:
    """What to do where units were not spread as planned."""
    worst = max(
        ratio.observed,
        key=lambda name: abs(ratio.observed[name] - ratio.expected[name]) / ratio.expected[name],
    )
    return (
        f"Do not use this test: {test.unit} were not split as planned. {worst} has "
        f"{ratio.observed[worst]:,} of them where {ratio.expected[worst]:,.0f} were expected "
        f"(p {probability(ratio.p)}). Find out where they got lost, for instance by redirects, "
        "bots or missing events, and run the test again."
    )


def on_too_little(test: AbTest, size: SampleSize) -> str:
    """What is missing before anything can be concluded."""
    if size.enough_units:
        scarce = test.metric if test.pooled_rate < 0.5 else f"{test.unit} without {test.metric}"
        return (
            f"Keep the test running: there are too few {scarce} to compare. Every variant should "
            f"be expected to have {LEAST_EXPECTED:g} at least."
        )
    at_least = "at least " if size.open_ended else ""
    lacking = sorted(size.missing, key=lambda name: -size.missing[name])
    told = [f"{name} lacks {size.missing[name]:,} more" for name in lacking[:_MOST_NAMED]]
    if len(lacking) > _MOST_NAMED:
        told.append(f"{len(lacking) - _MOST_NAMED} others lack some too")
    return (
        f"Keep the test running: every variant needs {at_least}{size.needed:,} {test.unit}. "
        f"{joined(told)}. Until then the figures can't tell the variants apart, however they look."
    )


def on_winner(
    test: AbTest, compared: Sequence[Comparison], p_best: Mapping[str, float], winner: str
) -> str:
    """Who is better than whom, and what was not compared."""
    control = test.control
    others = [one for one in compared if one.variant != winner]
    if winner == control:
        return f"Keep {control}: {_all_of(others)} significantly worse than this control."
    rivals = best_group(p_best, [one.variant for one in compared if one.better])
    if len(rivals) > 1:
        return _on_rivals(test, compared, p_best, rivals)
    own = next(one for one in compared if one.variant == winner)
    rates = {arm.name: arm.rate for arm in test.arms}
    low, high = own.interval
    said = (
        f"Choose {winner} over {control}: it is better than the control, {rate(rates[winner])} "
        f"against {rate(rates[control])} {test.metric} (difference {points(low)} to "
        f"{points(high)} percentage points, p {probability(own.p_corrected)})."
    )
    if not others:
        return said
    return (
        f"{said}{_found(others)} {winner} was not compared with "
        f"{joined([one.variant for one in others])}: that needs a test of its own."
    )


def _on_rivals(
    test: AbTest,
    compared: Sequence[Comparison],
    p_best: Mapping[str, float],
    rivals: Sequence[str],
) -> str:
    """Several are better than the control, and any of them may be the best; in their order."""
    first, *rest = rivals
    shown = [arm for arm in test.arms if arm.name in rivals]
    names = [arm.name for arm in shown]
    figures = joined([f"{rate(arm.rate)} ({arm.name})" for arm in shown])
    chances = joined([f"{chance(p_best[name])} ({name})" for name in names])
    others = [one for one in compared if one.variant not in rivals]
    return (
        f"Choose {joined(names, 'or')} over {test.control}: {'both' if len(names) == 2 else 'all'} "
        f"are better than the control, {figures} against {rate(test.control_arm.rate)} "
        f"{test.metric}. {joined(rest)} may be as good as {first}: the chances to be the best are "
        f"{chances}.{_found(others)} The variants were not compared with each other: that needs a "
        "test of its own."
    )


def on_leading(test: AbTest, compared: Sequence[Comparison], p_best: Mapping[str, float]) -> str:
    """Who is ahead, or what was found beside that, and why that is no result."""
    best = best_arm(p_best)
    if p_best[best] < LEADING_P_BEST:
        return _on_no_leader(test, compared)
    leads = f"leads with a chance of {chance(p_best[best])} to be the best"
    if best == test.control:
        unshown = joined([one.variant for one in compared if not one.worse], "or")
        return (
            f"No decision yet: the control {best} {leads}, but was not shown to be better than "
            f"{unshown}.{_found(compared)} Keep {best}, or run a larger test."
        )
    own = next(one for one in compared if one.variant == best)
    return (
        f"No decision yet: {best} {leads}, but was not shown to be better than the control "
        f"{test.control} (p {probability(own.p_corrected)}).{_found(compared)} Run a larger test "
        "before you choose it."
    )


def _on_no_leader(test: AbTest, compared: Sequence[Comparison]) -> str:
    """Some differ from the control, and no arm stands out."""
    control = test.control
    unshown = [one.variant for one in compared if not one.significant]
    said = f"No decision yet:{_found(compared)}"
    if len(unshown) == 1:
        said += f" {control} and {unshown[0]} can't be told apart."
    elif unshown:
        said += f" {joined(unshown)} can't be told apart from the control {control}."
    return f"{said} Run a larger test before you choose."


def on_no_difference(test: AbTest, size: SampleSize) -> str:
    """What was not found, and how large it may be all the same."""
    return (
        f"No difference from the control {test.control} was found. A difference smaller than "
        f"{percent(test.minimum_effect)} of the control's rate may exist all the same; one of that "
        f"size is found with a chance of {chance(size.power)} by {size.smallest_arm:,} "
        f"{test.unit} per variant."
    )


def _found(compared: Sequence[Comparison]) -> str:
    """What is significant beside the verdict."""
    said = ""
    for word, names in (
        ("better", [one.variant for one in compared if one.better]),
        ("worse", [one.variant for one in compared if one.worse]),
    ):
        if names:
            said += f" {joined(names)} {_was(names)} significantly {word} than the control."
    return said


def _all_of(compared: Sequence[Comparison]) -> str:
    names = [one.variant for one in compared]
    return f"{joined(names)} {_was(names)}"


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"
