"""What was done in some time: requests, edits and their stages, as counts that can be added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from serve_app.edits.request import CachePolicy
from serve_app.edits.result import CacheStatus, EditOutcome
from serve_app.monitoring.histogram import Histogram
from serve_app.monitoring.labels import (
    CACHE,
    CODES,
    EDIT_TYPES,
    OTHER,
    REFRESHED,
    TOTAL,
    VERDICTS,
    folded,
    stage_of,
)

_MOST_ATTEMPTS = 8
"""More attempts than any edit may have; they are counted by their number up to here."""


@dataclass(slots=True)
class Activity:
    """Counts of one replica or of all, over any time; bounded whatever is counted.

    ``requests`` are HTTP requests by status class. ``edits`` are answered edits by type and
    verdict, cached ones too, and ``cache`` says where they came from. ``failures`` are edits that
    failed, by error code, and ``withdrawn`` those whose caller left. ``attempts`` (how many edits
    took 1, 2, …) and ``stages`` (seconds per attempt; ``total`` per edit) are only of edits that
    were made.
    """

    requests: Counter[str] = field(default_factory=Counter)
    edits: Counter[tuple[str, str]] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    withdrawn: int = 0
    attempts: Counter[int] = field(default_factory=Counter)
    stages: dict[str, Histogram] = field(default_factory=dict)

    @property
    def made(self) -> int:
        """Edits that were run, and not answered from a cache or a running twin."""
        return self.attempts.total()

    def request(self, status_class: str) -> None:
        """Count a request that was answered, or whose client went before."""
        self.requests[status_class] += 1

    def completed(self, outcome: EditOutcome, seconds: float) -> None:
        """Count an edit that was answered ``seconds`` after it was asked for."""
        result = outcome.result
        self.edits[edit_type_of(result.metadata), folded(result.verdict, VERDICTS)] += 1
        self.cache[origin_of(outcome)] += 1
        if not was_made(outcome):
            return  # the record tells of another edit, which was counted when it was made
        self.attempts[min(result.attempts, _MOST_ATTEMPTS)] += 1
        self._stage(TOTAL).observe(seconds)
        for name, took_s in stage_seconds(result.metadata):
            self._stage(name).observe(took_s)

    def failed(self, code: str) -> None:
        """Count an edit that ended with the error ``code``."""
        self.failures[folded(code, CODES)] += 1

    def add(self, other: Activity) -> None:
        """Count all that ``other`` has counted."""
        self.requests.update(other.requests)
        self.edits.update(other.edits)
        self.cache.update(other.cache)
        self.failures.update(other.failures)
        self.withdrawn += other.withdrawn
        self.attempts.update(other.attempts)
        for name, histogram in other.stages.items():
            self._stage(name).add(histogram)

    def _stage(self, name: str) -> Histogram:
        return self.stages.setdefault(stage_of(name, self.stages), Histogram())


def edit_type_of(metadata: dict[str, Any]) -> str:
    """The type of the edit that the record ``metadata`` tells of."""
    return folded(_record(metadata, "plan").get("edit_type"), EDIT_TYPES)


def origin_of(outcome: EditOutcome) -> str:
    """Where an answer came from, one of ``labels.CACHE``."""
    asked = _record(outcome.result.metadata, "request").get("cache")
    if outcome.cache is CacheStatus.MISS and asked == CachePolicy.REFRESH:
        return REFRESHED
    return folded(str(outcome.cache), CACHE)


def was_made(outcome: EditOutcome) -> bool:
    """Whether the edit was run for this answer, and not found or joined."""
    return outcome.cache in (CacheStatus.MISS, CacheStatus.OFF)


def stage_seconds(metadata: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The stages of all attempts of a record, with their seconds."""
    for attempt in _attempts(metadata):
        yield from _record(attempt, "seconds").items()


def failed_checks(metadata: dict[str, Any]) -> Iterator[str]:
    """The names of the checks that rejected an attempt, of all attempts of a record."""
    for attempt in _attempts(metadata):
        for check in _record(attempt, "report").get("checks", ()):
            if check.get("status") == "fail":
                yield str(check.get("name", OTHER))


def _attempts(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    attempts = metadata.get("attempts")
    return attempts if isinstance(attempts, list) else []


def _record(holder: dict[str, Any], name: str) -> dict[str, Any]:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}
