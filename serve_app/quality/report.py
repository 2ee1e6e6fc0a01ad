"""What the checks say of an edit: a list of checks, and one verdict over them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Direction = Literal["at_least", "at_most"]


class CheckStatus(StrEnum):
    """What one check came to."""

    PASS = "pass"
    WARN = "warn"  # not as it should be, but no reason to reject
    FAIL = "fail"
    SKIPPED = "skipped"  # applies, but what it needs is not configured
    UNSUPPORTED = "unsupported"  # applies, but can't judge this input
    INFO = "info"  # a figure that decides nothing


DECIDED = frozenset({CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL})
OPEN = frozenset({CheckStatus.SKIPPED, CheckStatus.UNSUPPORTED})


class Verdict(StrEnum):
    """The answer; ``pass_unverified`` is clean pixels with the instruction not checked."""

    PASS = "pass"
    PASS_UNVERIFIED = "pass_unverified"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: it passes if ``value`` is ``direction`` ``threshold``.

    The three are ``None`` where there is no number to compare; ``evidence`` holds the
    figures behind the value, or why there is none.
    """

    name: str
    status: CheckStatus
    value: float | None = None
    threshold: float | None = None
    direction: Direction | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the check as plain JSON values; what is not finite becomes ``None``."""
        return {
            "name": self.name,
            "status": self.status.value,
            "value": _plain(self.value),
            "threshold": _plain(self.threshold),
            "direction": self.direction,
            "evidence": _plain(self.evidence),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on an edit and everything it rests on.

    ``coverage`` is the share, 0 to 1, of the checks that apply which were really decided;
    figures that decide nothing (``info``) count neither way. ``reasons`` says in plain
    words what is wrong and what to do, the gravest first.
    """

    verdict: Verdict
    coverage: float
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def severity(self) -> tuple[int, int, int]:
        """Orders reports from best to worst: this is how the best of several attempts is chosen.

        Fewer failed checks are better; among as many, the one whose gravest failure stands
        lower in the table; among equals the one with fewer warnings.
        """
        statuses = [check.status for check in self.checks]
        failed = statuses.count(CheckStatus.FAIL)
        gravest = -statuses.index(CheckStatus.FAIL) if failed else 0
        return failed, gravest, statuses.count(CheckStatus.WARN)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the failed checks, the gravest first."""
        return tuple(check.name for check in self.checks if check.status is CheckStatus.FAIL)

    def check(self, name: str) -> Check | None:
        """The check called ``name``; ``None`` if it did not apply."""
        return next((check for check in self.checks if check.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "verdict": self.verdict.value,
            "coverage": _plain(self.coverage),
            "reasons": list(self.reasons),
            "checks": [check.to_json() for check in self.checks],
        }


def coverage(checks: Sequence[Check]) -> float:
    """Return the share of ``checks`` that were decided, of those that could have been."""
    decided = sum(check.status in DECIDED for check in checks)
    undecided = sum(check.status in OPEN for check in checks)
    return decided / (decided + undecided) if decided + undecided else 0.0


def _plain(value: Any) -> Any:
    """Turn numpy scalars, tuples and non-finite numbers into what JSON has."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
