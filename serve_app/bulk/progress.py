"""How far a bulk run is, as plain data."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

_WINDOW_S = 300.0
_LEAST_ENDED = 16
"""Rows that a rate rests on, if so many have ended: batches end together, minutes apart."""
_GRAIN_S = 1.0
"""Samples that are closer than this are one: what is kept is bounded by the window."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A moment of a run.

    ``total`` counts the rows of this run, of which ``ended_before`` had ended when it began.
    ``succeeded``, ``failed`` and ``verdicts`` (counts by name) are of this process.
    ``elapsed_s`` is in seconds since the first row began. ``rate`` is in rows per second,
    lately; ``None`` until it is known. ``phase`` says in words what is being done.
    """

    phase: str
    total: int
    ended_before: int = 0
    succeeded: int = 0
    failed: int = 0
    verdicts: Mapping[str, int] = field(default_factory=dict)
    in_flight: int = 0
    elapsed_s: float = 0.0
    rate: float | None = None
    stopping: bool = False

    @property
    def ended(self) -> int:
        """Rows that have ended, now and before."""
        return self.ended_before + self.succeeded + self.failed

    @property
    def share(self) -> float:
        """Share of the rows that have ended, 0 to 1; a run of no rows is done."""
        return min(1.0, self.ended / self.total) if self.total else 1.0

    @property
    def eta_s(self) -> float | None:
        """Seconds until the last row ends, at the rate of lately; ``None`` if not known.

        Nobody knows it of a run that is stopping: what is in flight is not the rest.
        """
        left = self.total - self.ended
        if left <= 0:
            return 0.0
        return left / self.rate if self.rate and not self.stopping else None


class RecentRate:
    """Rows per second over the last ``window_s`` seconds.

    The window grows until some rows have ended in it, and begins when one did: rows end in
    batches, and half a pause between two would count for nothing. What is kept is bounded.
    """

    def __init__(self, window_s: float = _WINDOW_S) -> None:
        self._window_s = window_s
        self._endings: deque[tuple[float, int]] = deque()
        self._now = (0.0, 0)

    def add(self, at_s: float, ended: int) -> None:
        """Take note that ``ended`` rows have ended by ``at_s``; neither ever falls."""
        endings = self._endings
        self._now = (at_s, ended)
        if not endings or ended > endings[-1][1]:
            if len(endings) > 1 and at_s - endings[-2][0] < _GRAIN_S:
                endings.pop()
            endings.append(self._now)
        while len(endings) > 1 and self._enough(*endings[1]):
            endings.popleft()

    @property
    def rate(self) -> float | None:
        """Rows per second; ``None`` until a row has ended."""
        if not self._endings:
            return None
        (begun_s, before), (at_s, ended) = self._endings[0], self._now
        if ended <= before or at_s <= begun_s:
            return None
        return (ended - before) / (at_s - begun_s)

    def _enough(self, begun_s: float, before: int) -> bool:
        """Whether a rate since ``begun_s`` would do."""
        at_s, ended = self._now
        return at_s - begun_s >= self._window_s and ended - before >= _LEAST_ENDED
