"""Who watches a job, and what a running step tells them; kept nowhere."""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from serve_app.edits.result import EditEvent, PartialImage, Progress, Waiting
from serve_app.workflows.jobs.events import JobEvent

_BEHIND = 256
"""Events that a slow watcher may be behind; it misses those above, which are only live ones."""

Watcher = asyncio.Queue[JobEvent | None]
"""Gets live events, and ``None`` when there may be new kept ones."""


class Feed:
    """The watchers of all jobs; for one event loop."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[Watcher]] = defaultdict(set)
        self._latest: dict[str, dict[int, JobEvent]] = {}

    @contextmanager
    def watching(self, job_id: str) -> Iterator[Watcher]:
        """What is told of a job from now on, beginning with how far its running steps are."""
        watcher: Watcher = asyncio.Queue(_BEHIND)
        for event in self._latest.get(job_id, {}).values():
            watcher.put_nowait(event)
        self._watchers[job_id].add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[job_id].discard(watcher)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    def tell(self, job_id: str, index: int, event: EditEvent) -> None:
        """Tell what happened in the step ``index`` of a job."""
        live = _live_event(index, event)
        if live is None:
            return
        if live.name != "preview":
            self._latest.setdefault(job_id, {})[index] = live
        self._put(job_id, live)

    def stir(self, job_id: str) -> None:
        """Say that there are new kept events."""
        self._put(job_id, None)

    def over(self, job_id: str, index: int) -> None:
        """Say that a step has ended, and that there are new kept events."""
        steps = self._latest.get(job_id, {})
        steps.pop(index, None)
        if not steps:
            self._latest.pop(job_id, None)
        self.stir(job_id)

    def _put(self, job_id: str, event: JobEvent | None) -> None:
        # Not by the key itself, which would make an entry for a job that nobody watches.
        for watcher in self._watchers.get(job_id, ()):
            if watcher.full() and event is None:
                watcher.get_nowait()  # kept events come first
            if not watcher.full():
                watcher.put_nowait(event)


def _live_event(index: int, event: EditEvent) -> JobEvent | None:
    match event:
        case Waiting() | Progress():
            facts = {name: value for name, value in asdict(event).items() if name != "kind"}
            return JobEvent(event.kind, {"index": index} | facts)
        case PartialImage():
            facts = {
                "attempt": event.attempt,
                "partial_image_index": event.index,
                "b64_json": base64.b64encode(event.png).decode("ascii"),
            }
            return JobEvent("preview", {"index": index} | facts)
        case _:
            return None
