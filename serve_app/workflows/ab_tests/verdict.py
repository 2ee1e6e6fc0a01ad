"""What may be said of a test, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serve_app.workflows.ab_tests.comparisons import Comparison

LEADING_P_BEST = 0.9
"""From this chance to be the best on an arm leads.

Below significance by design: a two-arm test with p = 0.2 has about 0.9. It says where to look
next, and is not a decision.
"""


class Verdict(StrEnum):
    """In the order in which they are ruled out.

    ``LEADING``: there is something to go by, but nobody to choose.
    """

    SRM_FAILED = "srm_failed"
    INSUFFICIENT_DATA = "insufficient_data"
    NO_DIFFERENCE_DETECTED = "no_difference_detected"
    LEADING = "leading"
    WINNER = "winner"

    @property
    def concluded(self) -> bool:
        """Whether the split was right and the data enough to compare the arms."""
        return self not in (Verdict.SRM_FAILED, Verdict.INSUFFICIENT_DATA)


def best_arm(p_best: Mapping[str, float]) -> str:
    """The arm with the highest chance to be the best, of equal ones the first."""
    return max(p_best, key=lambda name: p_best[name])


def verdict_on(compared: Sequence[Comparison], p_best: Mapping[str, float]) -> Verdict:
    """The verdict on a test whose split is right and which has enough data.

    A variant wins if it is the best by the posterior and significantly better than the control;
    the control wins if every other arm is significantly worse. No difference was detected only
    if not one comparison is significant. The omnibus test has no say: Holm's correction by
    itself keeps the chance of a false winner within the significance.
    """
    best = best_arm(p_best)
    own = [one for one in compared if one.variant == best]
    won = own[0].better if own else all(one.worse for one in compared)
    if won:
        return Verdict.WINNER
    if p_best[best] >= LEADING_P_BEST or any(one.significant for one in compared):
        return Verdict.LEADING
    return Verdict.NO_DIFFERENCE_DETECTED


def best_group(p_best: Mapping[str, float], among: Sequence[str]) -> list[str]:
    """The fewest of the arms ``among`` that hold the best one as surely as a leader is it.

    By falling chance to be the best; all of them, if they don't hold it so surely together.
    """
    group: list[str] = []
    held = 0.0
    for name in sorted(among, key=lambda name: -p_best[name]):
        if held < LEADING_P_BEST:
            group.append(name)
            held += p_best[name]
    return group
