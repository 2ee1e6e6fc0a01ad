"""The monitor: puts reports and samples together, and tells how the last hour was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serve_app.config import MonitorConfig
from serve_app.monitoring.machine import Machine, MachineReading
from serve_app.monitoring.repeating import Repeating
from serve_app.monitoring.reporter import JobBacklog, Load, Report
from serve_app.monitoring.summary import Facts, figures_of, summarise
from serve_app.monitoring.window import WINDOW_S, Window

MOST_REPORTERS = 1024
"""Replicas that are remembered at most; the one that was silent longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class _Heard:
    number: int
    load: Load
    at: float


class ServiceMonitor:
    """Holds an hour, however much happens; everything is forgotten with the process.

    ``clock`` gives seconds that only grow. All of it belongs to one event loop.
    """

    def __init__(
        self, config: MonitorConfig, machine: Machine, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._machine = machine
        self._clock = clock
        self._started = clock()
        self._window = Window(clock)
        self._reporters: dict[str, _Heard] = {}
        self._reading: MachineReading | None = None
        self._read_at = self._started
        self._requests = 0
        self._edits = 0
        self._sampling = Repeating(self.sample, config.interval_s, "the machine can't be read")

    def start(self) -> None:
        """Begin to sample the machine, once; needs the running event loop."""
        self._sampling.start()

    async def close(self) -> None:
        """Stop to sample."""
        await self._sampling.stop()
        self._machine.close()

    async def record(self, report: Report) -> None:
        """Count a report as of now, unless it was heard before."""
        known = self._reporters.pop(report.reporter, None)
        number = max(report.number, 0 if known is None else known.number)
        # Put back at the end: the first one is the one that was silent longest.
        self._reporters[report.reporter] = _Heard(number, report.load, self._clock())
        self._forget()
        if known is None or report.number > known.number:
            self._window.add(report.activity)
            self._requests += report.activity.requests.total()
            self._edits += report.activity.edits.total()

    async def sample(self) -> None:
        """Read the machine and the length of the queue now."""
        # Reading takes milliseconds, and a driver in trouble may take long.
        reading = await asyncio.to_thread(self._machine.read)
        self._reading, self._read_at = reading, self._clock()
        self._window.sample(figures_of(reading, self._load()))

    async def summary(self) -> dict[str, Any]:
        """The body of ``GET /v1/monitor``."""
        if self._reading is None:
            await self.sample()
        return summarise(
            Facts(
                interval_s=self._config.interval_s,
                uptime_s=self._clock() - self._started,
                sampled_s_ago=self._clock() - self._read_at,
                filled_s=self._window.filled_s,
                requests=self._requests,
                edits=self._edits,
                load=self._load(),
                activity=self._window.activity(),
                figures=self._window.figures(),
                reading=self._reading,
            )
        )

    def _load(self) -> Load:
        """What all replicas have on their hands that were heard of lately."""
        since = self._clock() - self._config.silent_s
        loads = [heard.load for heard in self._reporters.values() if heard.at >= since]
        return Load(
            sum(load.requests for load in loads),
            sum(load.edits for load in loads),
            JobBacklog(
                sum(load.jobs.queued for load in loads), sum(load.jobs.running for load in loads)
            ),
        )

    def _forget(self) -> None:
        silent_before = self._clock() - WINDOW_S
        for name in list(self._reporters):
            if len(self._reporters) <= MOST_REPORTERS and self._reporters[name].at >= silent_before:
                return
            del self._reporters[name]
