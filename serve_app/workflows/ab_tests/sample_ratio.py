"""Whether units were spread over the arms as planned: without that no figure means anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scipy import special

from serve_app.workflows.ab_tests.ab_test import AbTest

MISMATCH_P = 0.001
"""Below it the split is taken as broken: strict, because the check is made in every test.

Fabijan et al., "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments", KDD 2019.
"""


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Chi-square test of the units in each arm, by name, against the allocation."""

    p: float
    expected: dict[str, float]
    observed: dict[str, int]

    @property
    def passed(self) -> bool:
        """Whether the split can have come about by chance."""
        return self.p >= MISMATCH_P

    def to_json(self) -> dict[str, Any]:
        """As in the answer."""
        return {
            "p": self.p,
            "expected": self.expected,
            "observed": self.observed,
            "passed": self.passed,
        }


def sample_ratio(test: AbTest) -> SampleRatio:
    """Compare the units of ``test`` with its allocation."""
    observed = {arm.name: arm.trials for arm in test.arms}
    weights = {name: test.allocation.get(name, 1.0) for name in observed}
    per_weight = sum(observed.values()) / sum(weights.values())
    expected = {name: weight * per_weight for name, weight in weights.items()}
    chi_square = sum((observed[name] - one) ** 2 / one for name, one in expected.items())
    return SampleRatio(float(special.chdtrc(len(observed) - 1, chi_square)), expected, observed)
