"""An A/B test analysed: the checks in their order, the figures, the verdict.

The order matters. A broken split of the traffic makes every figure meaningless, so nothing is
computed from it; too little data makes every verdict a guess, so none is given; only then do
the comparisons and the posterior decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serve_app.workflows.ab_tests import recommendation
from serve_app.workflows.ab_tests.ab_test import AbTest, Unit
from serve_app.workflows.ab_tests.comparisons import Comparison, comparisons, omnibus_p
from serve_app.workflows.ab_tests.intervals import Interval, wilson
from serve_app.workflows.ab_tests.posterior import posteriors
from serve_app.workflows.ab_tests.sample_ratio import MISMATCH_P, SampleRatio, sample_ratio
from serve_app.workflows.ab_tests.sample_size import SampleSize, sample_size
from serve_app.workflows.ab_tests.verdict import Verdict, best_arm, verdict_on
from serve_app.workflows.ab_tests.wording import percent, rate


@dataclass(frozen=True, slots=True)
class Analysis:
    """All that is found of ``test``.

    ``intervals`` of the rates and ``comparisons`` have confidence 1 - significance. After a
    failed sample-ratio check there are no comparisons, posteriors (``p_best``,
    ``expected_loss``, by arm) and omnibus p. ``winner`` is ``None`` unless the verdict is
    ``winner``.
    """

    test: AbTest
    ratio: SampleRatio
    intervals: dict[str, Interval]
    omnibus_p: float | None
    comparisons: tuple[Comparison, ...]
    p_best: dict[str, float]
    expected_loss: dict[str, float]
    size: SampleSize
    verdict: Verdict
    winner: str | None
    recommendation: str
    caveats: tuple[str, ...]
    created_at: datetime

    def to_json(self) -> dict[str, Any]:
        """As in the answer."""
        test = self.test
        return {
            "verdict": str(self.verdict),
            "winner": self.winner,
            "recommendation": self.recommendation,
            "control": test.control,
            "metric": str(test.metric),
            "unit": str(test.unit),
            "sample_ratio": self.ratio.to_json(),
            "rates": {
                arm.name: {
                    "rate": arm.rate,
                    "interval": list(self.intervals[arm.name]),
                    "successes": arm.successes,
                    "trials": arm.trials,
                }
                for arm in test.arms
            },
            "omnibus_p": self.omnibus_p,
            "comparisons": [one.to_json() for one in self.comparisons],
            "p_best": self.p_best,
            "expected_loss": self.expected_loss,
            "needed_per_variant": self.size.needed,
            "sample_size": self.size.to_json(),
            "minimum_effect": test.minimum_effect,
            "power": test.power,
            "significance": test.significance,
            "caveats": list(self.caveats),
            "created_at": self.created_at.isoformat(timespec="milliseconds"),
        }


def analyse(test: AbTest, now: datetime | None = None, *, looks: int = 0) -> Analysis:
    """Analyse ``test``; ``now`` is put down as the time of it.

    ``looks`` is how often it was analysed before with enough data: p values hold for the first
    time, so later ones are told as a caveat.
    """
    ratio, size = sample_ratio(test), sample_size(test)
    compared: tuple[Comparison, ...] = ()
    p_best: dict[str, float] = {}
    expected_loss: dict[str, float] = {}
    omnibus = None
    winner = None
    if not ratio.passed:
        verdict = Verdict.SRM_FAILED
        said = recommendation.on_broken_split(test, ratio)
    else:
        omnibus, compared = omnibus_p(test.arms), comparisons(test)
        for arm, believed in zip(test.arms, posteriors(test.arms), strict=True):
            p_best[arm.name] = believed.p_best
            expected_loss[arm.name] = believed.expected_loss
        verdict = verdict_on(compared, p_best) if size.reached else Verdict.INSUFFICIENT_DATA
        winner = best_arm(p_best) if verdict is Verdict.WINNER else None
        said = _said(test, size, verdict, compared, p_best)
    return Analysis(
        test,
        ratio,
        {arm.name: wilson(arm, test.significance) for arm in test.arms},
        omnibus,
        compared,
        p_best,
        expected_loss,
        size,
        verdict,
        winner,
        said,
        tuple(_caveats(test, ratio, size, compared, looks)),
        datetime.now(UTC) if now is None else now,
    )


def _said(
    test: AbTest,
    size: SampleSize,
    verdict: Verdict,
    compared: tuple[Comparison, ...],
    p_best: dict[str, float],
) -> str:
    match verdict:
        case Verdict.WINNER:
            return recommendation.on_winner(test, compared, p_best, best_arm(p_best))
        case Verdict.LEADING:
            return recommendation.on_leading(test, compared, p_best)
        case Verdict.NO_DIFFERENCE_DETECTED:
            return recommendation.on_no_difference(test, size)
        case _:
            return recommendation.on_too_little(test, size)


def _caveats(
    test: AbTest,
    ratio: SampleRatio,
    size: SampleSize,
    compared: tuple[Comparison, ...],
    looks: int,
) -> list[str]:
    """What limits the figures, whatever the verdict is."""
    found = []
    if test.unit is Unit.IMPRESSIONS:
        found.append(
            "Impressions are counted, not people: repeated views by one person make the intervals "
            "too narrow and the p values too small. Send `users` for all variants if you know them."
        )
    if not ratio.passed:
        found.append(
            f"The sample-ratio check failed (p < {MISMATCH_P:g}), so nothing is compared; the "
            "rates only describe what was counted."
        )
    if looks:
        times = "once" if looks == 1 else f"{looks:,} times"
        found.append(
            f"This test was looked at {times} before with all the data it needs. The p values "
            "hold for the first look only: who looks often enough finds a winner by chance."
        )
    if size.plan_refuted and test.baseline is not None:
        found.append(
            f"{test.control} was planned with a rate of {percent(test.baseline)} and has "
            f"{rate(test.control_arm.rate)}, whose interval leaves that out. The size needed is "
            "the larger one of those for both rates."
        )
    if size.open_ended:
        advice = " Give `baseline` to plan with a rate of your own."
        found.append(
            f"{test.control} has no {test.metric} yet, so the size needed is a lower bound."
            f"{advice if test.baseline is None else ''}"
        )
    if size.target < size.baseline:
        found.append(
            f"The control's rate can't rise by {percent(test.minimum_effect)}, so the size needed "
            "is for a fall by as much."
        )
    if len(compared) > 1:
        found.append(
            "Intervals of differences are each for one comparison, p values are corrected for all "
            "of them: an interval may leave out 0 where the difference is not significant."
        )
    return found
