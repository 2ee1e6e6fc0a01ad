"""Each variant against the control, corrected for how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency
from statsmodels.stats.proportion import proportions_ztest

from serve_app.workflows.ab_tests.ab_test import AbTest, Arm
from serve_app.workflows.ab_tests.intervals import Interval, newcombe


@dataclass(frozen=True, slots=True)
class Comparison:
    """A variant against the control.

    ``difference`` of the rates (-1 to 1) with its ``interval``, which is of this comparison
    alone; ``lift`` is the difference relative to the control's rate, ``None`` if that is 0.
    ``p`` is of the two-sided test, ``p_corrected`` is Holm's.
    """

    variant: str
    control: str
    difference: float
    interval: Interval
    lift: float | None
    p: float
    p_corrected: float
    significant: bool

    @property
    def better(self) -> bool:
        """Whether the variant is significantly better than the control."""
        return self.significant and self.difference > 0

    @property
    def worse(self) -> bool:
        """Whether the variant is significantly worse than the control."""
        return self.significant and self.difference < 0

    def to_json(self) -> dict[str, Any]:
        """As in the answer."""
        return {
            "variant": self.variant,
            "control": self.control,
            "difference": self.difference,
            "interval": list(self.interval),
            "lift": self.lift,
            "p": self.p,
            "p_corrected": self.p_corrected,
            "significant": self.significant,
        }


def comparisons(test: AbTest) -> tuple[Comparison, ...]:
    """Compare every other arm of ``test`` with its control, in their order."""
    control = test.control_arm
    found = [two_proportion_p(arm, control) for arm in test.others]
    return tuple(
        Comparison(
            arm.name,
            control.name,
            arm.rate - control.rate,
            newcombe(arm, control, test.significance),
            arm.rate / control.rate - 1 if control.successes else None,
            p,
            corrected,
            corrected < test.significance,
        )
        for arm, p, corrected in zip(test.others, found, holm(found), strict=True)
    )


def omnibus_p(arms: Sequence[Arm]) -> float:
    """p of Pearson's chi-square test that all ``arms`` have one rate.

    1 where nothing, or everything, is a success: such arms don't differ.
    """
    table = [[arm.successes, arm.failures] for arm in arms]
    if 0 in np.sum(table, axis=0):
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)


def two_proportion_p(arm: Arm, control: Arm) -> float:
    """Two-sided p of the z test with pooled variance; 1 where there is no variance."""
    successes = arm.successes, control.successes
    if sum(successes) in (0, arm.trials + control.trials):
        return 1.0
    return float(proportions_ztest(successes, (arm.trials, control.trials))[1])


def holm(p_values: Sequence[float]) -> list[float]:
    """``p_values`` corrected so that the chance of any false finding stays what it is for one.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979: valid however the
    comparisons depend on each other, here by their common control.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    # Not statsmodels's, which collects garbage each time: 50 ms in a service.
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
