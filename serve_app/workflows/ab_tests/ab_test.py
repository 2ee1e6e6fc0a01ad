"""What an A/B test counted, and how it was planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_MINIMUM_EFFECT = 0.2
DEFAULT_POWER = 0.8
DEFAULT_SIGNIFICANCE = 0.05


class Metric(StrEnum):
    """What counts as a success."""

    CLICKS = "clicks"
    ENGAGEMENTS = "engagements"
    CONVERSIONS = "conversions"


class Unit(StrEnum):
    """What was counted as one trial."""

    USERS = "users"
    IMPRESSIONS = "impressions"


@dataclass(frozen=True, slots=True)
class Arm:
    """A variant's ``successes`` among ``trials`` units; 0 <= successes <= trials, trials > 0."""

    name: str
    successes: int
    trials: int

    @property
    def rate(self) -> float:
        """Share of successes, 0 to 1."""
        return self.successes / self.trials

    @property
    def failures(self) -> int:
        """Units without success."""
        return self.trials - self.successes


@dataclass(frozen=True, slots=True)
class AbTest:
    """Two or more ``arms``, one of them the ``control``, and what was planned.

    ``minimum_effect`` is the smallest lift worth finding, relative to the control's rate;
    ``baseline`` (0 to 1) the rate that was planned for the control, if there was a plan;
    ``power`` and ``significance`` are probabilities. ``allocation`` are the weights by which
    units were to be spread over the arms, equal ones if it is empty.
    """

    arms: tuple[Arm, ...]
    control: str
    metric: Metric = Metric.CONVERSIONS
    unit: Unit = Unit.IMPRESSIONS
    minimum_effect: float = DEFAULT_MINIMUM_EFFECT
    baseline: float | None = None
    power: float = DEFAULT_POWER
    significance: float = DEFAULT_SIGNIFICANCE
    allocation: Mapping[str, float] = field(default_factory=dict)

    @property
    def control_arm(self) -> Arm:
        """The arm that the others are compared with."""
        return next(arm for arm in self.arms if arm.name == self.control)

    @property
    def others(self) -> tuple[Arm, ...]:
        """All arms but the control, in their order."""
        return tuple(arm for arm in self.arms if arm.name != self.control)

    @property
    def pooled_rate(self) -> float:
        """Share of successes over all arms, 0 to 1."""
        return sum(arm.successes for arm in self.arms) / sum(arm.trials for arm in self.arms)
