"""What the service's policy is compared with: first come first served, and processor sharing."""

from __future__ import annotations

from collections.abc import Sequence

from serve_app.engine.policy import Work


class FirstComeFirstServed:
    """One at a time, in the order of arrival: what a plain pipeline behind a queue does."""

    def ranked(self, works: Sequence[Work], now: float) -> list[Work]:  # noqa: ARG002 - no age
        return sorted(works, key=lambda work: work.arrived)

    def choose(self, works: Sequence[Work], now: float) -> list[Work]:
        return self.ranked(works, now)[:1]

    def charge(self, chosen: Sequence[Work], present: Sequence[Work], seconds: float) -> None:
        """Keeps no accounts."""


class ProcessorSharing:
    """Batches as full as they get; groups that can't share a forward take turns."""

    def __init__(self, max_requests: int) -> None:
        self._max_requests = max_requests
        self._steps = 0
        self._served: dict[Work, int] = {}

    def ranked(self, works: Sequence[Work], now: float) -> list[Work]:  # noqa: ARG002 - no age
        return sorted(works, key=lambda work: (self._served.get(work, 0), work.arrived))

    def choose(self, works: Sequence[Work], now: float) -> list[Work]:
        for work in works:
            self._served.setdefault(work, self._steps)
        ranked = self.ranked(works, now)
        return [work for work in ranked if work.key == ranked[0].key][: self._max_requests]

    def charge(
        self,
        chosen: Sequence[Work],
        present: Sequence[Work],
        seconds: float,  # noqa: ARG002 - turns are counted in steps
    ) -> None:
        self._steps += 1
        self._served = {
            work: self._steps if work in chosen else self._served.get(work, 0) for work in present
        }
