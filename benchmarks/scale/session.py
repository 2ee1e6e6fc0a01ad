"""The service on one machine in simulated time: what the real one is asked, one after the other.

Editors learn from all that they have done, so what was asked before changes what comes after.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import simpy

from benchmarks.scale.calibration import Asked, Calibration
from benchmarks.scale.changes import dies
from benchmarks.scale.requests import Kind, Request
from benchmarks.scale.service import Service, Shape

_APART = 1_000_000
"""Photos of one seed; which editor a photo belongs to is chance."""


class Session:
    """From the service's start on."""

    def __init__(self, found: Calibration, shape: Shape, seed: int) -> None:
        self._found = found
        self._first_subject = _APART * seed
        self._new = itertools.count(1)
        self._env = simpy.Environment()
        self._machine = found.machine(self._env)
        self._service = Service(
            self._env, shape, found.front, found.device, self._machine, seed=seed, learn=True
        )

    def slow_down(self, pace: float) -> None:
        """From now on the machine takes ``pace`` times as long as the calibration's mean."""
        self._machine.slow_down(pace)

    def ask(self, asked: Asked) -> float:
        """Edit so many photos that nobody has sent; returns the seconds until the last answer."""
        began = self._env.now
        requests = [
            Request(0.0, Kind(steps), -number, -number)
            for steps, number in zip(
                itertools.cycle(asked.steps), itertools.islice(self._new, asked.edits)
            )
        ]
        answered = self.play(requests, asked.clients)
        return max(request.ended for request in answered) - began

    def play(
        self,
        requests: Sequence[Request],
        clients: int | None = None,
        kill_at: Sequence[float] = (),
    ) -> list[Request]:
        """Copies of ``requests``, answered: sent at their times or by ``clients`` that wait.

        At each time of ``kill_at`` another editor dies, and comes back.
        """
        env, service = self._env, self._service
        began = env.now
        copies = [
            Request(began + each.at, each.kind, each.key, each.subject + self._first_subject)
            for each in requests
        ]
        if clients is None:
            env.process(service.open_loop(copies))
        else:
            waiting = iter(copies)
            for _ in range(clients):
                env.process(service.closed_loop(waiting))
        found = self._found
        for at, victim in zip(kill_at, service.editors, strict=False):
            env.run(began + at)
            env.process(dies(env, victim, found.restart_s, self._machine, found.restart_cpu_s))
        env.run()
        return copies
