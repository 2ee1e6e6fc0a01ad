"""From judged samples to rates: recall, precision and false positives with their intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import binomtest

from benchmarks.quality.measure import Judged

Rejects = Callable[[Judged], bool]


@dataclass(frozen=True, slots=True)
class Rate:
    """``hits`` of ``of``, and the Wilson interval of the share at 95 %."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        return self.hits / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        if not self.of:
            return 0.0, 1.0
        found = binomtest(self.hits, self.of).proportion_ci(0.95, method="wilson")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.share:.3f} [{low:.2f}, {high:.2f}]"

    def to_json(self) -> dict[str, Any]:
        return {"hits": self.hits, "of": self.of, "share": self.share, "wilson_95": self.interval}


def rejected(judged: Iterable[Judged], rejects: Rejects) -> Rate:
    """How many are rejected: recall of defective ones, false positives of good ones."""
    answers = [rejects(one) for one in judged]
    return Rate(sum(answers), len(answers))


def precision(judged: Sequence[Judged], rejects: Rejects) -> Rate:
    """How many of those rejected are defective."""
    answers = [not one.good for one in judged if rejects(one)]
    return Rate(sum(answers), len(answers))


def by(judged: Iterable[Judged], key: Callable[[Judged], str]) -> dict[str, list[Judged]]:
    """Group by ``key``, in the order of first appearance."""
    groups: defaultdict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        groups[key(one)].append(one)
    return dict(groups)


def noticed(judged: Iterable[Judged]) -> list[Judged]:
    """Defects that a person sees at once: medium, strong, and those without a strength."""
    return [one for one in judged if not one.good and one.strength != 1]


def inversions(judged: Iterable[Judged]) -> list[tuple[str, str]]:
    """Groups in which a stronger defect passed where a weaker one was rejected.

    Returns pairs of kind and group.
    """
    found = []
    for group, members in by(
        (one for one in judged if not one.good), lambda one: one.group
    ).items():
        ordered = sorted(members, key=lambda one: one.strength or 0)
        answers = [one.rejected for one in ordered]
        if answers != sorted(answers):
            found.append((ordered[0].kind, group))
    return found
