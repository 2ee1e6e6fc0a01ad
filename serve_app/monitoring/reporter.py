"""What one replica counts, sent to the monitor at an interval.

Counting costs an edit a few additions. Sending happens beside it, and a monitor that is away
costs nothing but memory that does not grow: what it has not heard is kept and added up.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from serve_app.config import MonitorConfig
from serve_app.edits.result import EditOutcome
from serve_app.errors import EditServiceError
from serve_app.monitoring.activity import Activity
from serve_app.monitoring.repeating import Repeating

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobBacklog:
    """How many durable jobs are queued and running."""

    queued: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What a replica has on its hands now: requests, edits waiting or running, and jobs."""

    requests: int = 0
    edits: int = 0
    jobs: JobBacklog = JobBacklog()


@dataclass(frozen=True, slots=True)
class Report:
    """What ``reporter`` did since its last report, and its load.

    ``number`` counts its reports from 1: one that comes again has the same.
    """

    reporter: str
    number: int
    activity: Activity
    load: Load


class Collector(Protocol):
    """Takes reports, as ``monitoring.monitor.ServiceMonitor`` does."""

    async def record(self, report: Report) -> None:
        """Take a report; raises ``EditServiceError`` where the monitor is away."""


CountJobs = Callable[[], Awaitable[JobBacklog]]
"""Says how many jobs there are; may raise ``EditServiceError``."""

LoadObserver = Callable[[Load], None]
"""Told what a replica has on its hands, again and again; must not block or raise."""


class Reporter:
    """Counts for one replica, as its gateway's observer and its HTTP surface's counter.

    All of it belongs to one event loop. ``count_jobs`` is asked before each report, where there
    are jobs; ``on_load`` is told of the load, whether the report is heard or not.
    """

    def __init__(
        self,
        collector: Collector,
        config: MonitorConfig,
        count_jobs: CountJobs | None = None,
        on_load: LoadObserver | None = None,
    ) -> None:
        self._collector = collector
        self._on_load = on_load
        self._config = config
        self._count_jobs = count_jobs
        self._id = uuid.uuid4().hex
        self._activity = Activity()
        self._unheard: Report | None = None
        self._sent = 0
        self._requests = 0
        self._edits = 0
        self._jobs = JobBacklog()
        self._reporting = Repeating(
            self.push, config.interval_s, "a report is left for later", wait_first=True
        )

    # What is counted.

    def request_began(self) -> None:
        """A request is being answered from now on."""
        self._requests += 1

    def request_answered(self, status_class: str) -> None:
        """Its answer began; or its client went before, see ``labels.UNANSWERED``."""
        self._activity.request(status_class)

    def request_ended(self) -> None:
        """Nothing more is done for the request."""
        self._requests -= 1

    def began(self) -> None:
        """An edit waits or runs from now on."""
        self._edits += 1

    def completed(self, outcome: EditOutcome, seconds: float) -> None:
        """It was answered after ``seconds``."""
        self._edits -= 1
        self._activity.completed(outcome, seconds)

    def failed(self, code: str) -> None:
        """It ended with an error of this code."""
        self._edits -= 1
        self._activity.failed(code)

    def withdrawn(self) -> None:
        """Its caller left before there was an answer."""
        self._edits -= 1
        self._activity.withdrawn += 1

    # How it is sent.

    def start(self) -> None:
        """Begin to report, once; needs the running event loop."""
        self._reporting.start()

    async def close(self) -> None:
        """Stop to report; what was counted since the last report is lost."""
        await self._reporting.stop()

    async def push(self) -> bool:
        """Report what was not heard yet; false if the monitor is away.

        A report that may have been lost is sent again as it was, with its number, so that
        nothing is counted twice; what happened since follows in the next one.
        """
        load = Load(self._requests, self._edits, await self._count())
        if self._on_load is not None:
            self._on_load(load)
        if self._unheard is None:
            self._sent += 1
            self._unheard = Report(self._id, self._sent, self._activity, load)
            self._activity = Activity()
        try:
            async with asyncio.timeout(self._config.answer_s):
                await self._collector.record(replace(self._unheard, load=load))
        except (EditServiceError, TimeoutError) as error:
            logger.debug("the monitor did not take a report: %s", type(error).__name__)
            return False
        self._unheard = None
        return True

    async def _count(self) -> JobBacklog:
        """How many jobs there are, or were when that was known last."""
        if self._count_jobs is not None:
            with suppress(EditServiceError, TimeoutError):
                async with asyncio.timeout(self._config.answer_s):
                    self._jobs = await self._count_jobs()
        return self._jobs
