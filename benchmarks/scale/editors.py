"""An editor, as its engine works: the service's own policy over simulated steps."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from copy import deepcopy
from typing import Any

import simpy

from benchmarks.scale.cores import Cores, Task
from benchmarks.scale.costs import Device
from benchmarks.scale.requests import Kind
from serve_app.config import EngineConfig
from serve_app.engine.costs import Costs
from serve_app.engine.policy import LeastWorkFirst, Work, forecast

Process = Generator[simpy.Event, Any, Any]


class EditorLost(Exception):
    """The editor died over this."""


class EditorFull(Exception):
    """As many edits wait or run there as it takes."""


class Editor:
    """Admits, encodes, steps and decodes as ``engine.device_loop`` does.

    ``known`` is what the policy goes by; where it ``learns`` it adds its own steps to that, as
    a real one does, and forgets them when it dies.
    """

    def __init__(
        self,
        env: simpy.Environment,
        name: int,
        cores: Cores,
        device: Device,
        config: EngineConfig,
        known: Costs | None = None,
        *,
        learns: bool = False,
    ) -> None:
        self.name = name
        self.alive = False
        self.draining = False
        self._env = env
        self._cores = cores
        self._device = device
        self._config = config
        self._learns = learns
        self._known = known or Costs()
        self._begin()
        self._present: dict[Work, simpy.Event] = {}
        self._decoding: list[Work] = []
        self._encoding: Work | None = None
        self._changed = env.event()
        self._threads: list[simpy.Process] = []
        self.steps = 0
        self.rows = 0
        """Of all steps together."""
        self.largest_batch = 0
        self.finished = 0

    def start(self) -> None:
        """Take edits from now on."""
        self.alive = True
        self._begin()
        threads = [self._denoise]
        if self._device.beside:
            threads += [self._encode_beside, self._decode_beside]
        self._threads = [
            self._env.process(_until_killed(thread(), self._cores)) for thread in threads
        ]

    def _begin(self) -> None:
        config = self._config
        self._costs = deepcopy(self._known) if self._learns else self._known
        self._policy = LeastWorkFirst(self._costs, config.scheduling, config.max_batch_size)

    def stop(self) -> None:
        """Be gone, with nothing left to do."""
        self.kill()
        self.draining = False

    def kill(self) -> None:
        """Die: whatever is here is lost."""
        self.alive = False
        for thread in self._threads:
            if thread.is_alive:
                thread.interrupt()
        present, self._present, self._decoding, self._encoding = self._present, {}, [], None
        for done in present.values():
            done.defused = True  # its caller may have left
            done.fail(EditorLost())
        self._changed = self._env.event()

    @property
    def pending(self) -> int:
        """Edits that wait or run here."""
        return len(self._present)

    @property
    def busy_s(self) -> float:
        """Seconds that the device has worked."""
        return self._cores.busy_s

    @property
    def work_s(self) -> float:
        """Seconds until everything that is here is done, as the engine estimates it."""
        works = [work for work in self._present if work.remaining_steps]
        return max(forecast(self._policy.ranked(works, self._env.now), self._costs), default=0.0)

    def submit(self, kind: Kind) -> simpy.Event:
        """Returns what fires when the edit is done; it fails with ``EditorLost``.

        Raises ``EditorFull``, or ``EditorLost`` if it is dead already.
        """
        if not self.alive:
            raise EditorLost
        if len(self._present) >= self._config.max_pending:
            raise EditorFull
        work = Work(kind.company, self._device.tokens, kind.rows, kind.steps, self._env.now)
        done = self._present[work] = self._env.event()
        self._notify()
        return done

    # The device's thread.

    def _denoise(self) -> Process:
        while True:
            if not (works := self._may_step()):
                yield self._changed
                continue
            chosen = self._policy.choose(works, self._env.now)
            if new := next((work for work in chosen if not work.encoded), None):
                yield from self._encode(new)
                continue  # who has come meanwhile may change the choice
            yield from self._step(chosen)
            if not self._device.beside:
                while self._decoding:
                    yield from self._decode(self._decoding[0])

    def _may_step(self) -> list[Work]:
        return [
            work
            for work in self._present
            if work.remaining_steps and (work.encoded or not self._device.beside)
        ]

    def _step(self, chosen: Sequence[Work]) -> Process:
        rows = sum(work.rows for work in chosen)
        started = self._env.now
        yield self._cores.run(self._device.step(rows))
        seconds = self._env.now - started
        self.steps += 1
        self.rows += rows
        self.largest_batch = max(self.largest_batch, len(chosen))
        if self._learns:
            self._costs.steps.observe(self._device.tokens, rows, seconds)
        self._policy.charge(chosen, list(self._present), seconds)
        for work in chosen:
            work.remaining_steps -= 1
            if not work.remaining_steps:
                self._decoding.append(work)
        self._notify()

    # Encoder and decoder: on threads of their own, or called by the device's.

    def _encode_beside(self) -> Process:
        while True:
            if waiting := [work for work in self._present if not work.encoded]:
                yield from self._encode(self._policy.ranked(waiting, self._env.now)[0])
            else:
                yield self._changed

    def _decode_beside(self) -> Process:
        while True:
            if self._decoding:
                yield from self._decode(self._policy.ranked(self._decoding, self._env.now)[0])
            else:
                yield self._changed

    def _encode(self, work: Work) -> Process:
        started = self._env.now
        yield self._cores.run(self._device.encode(work.rows))
        if self._learns:
            self._costs.encoding.observe(self._device.tokens, 1, self._env.now - started)
        work.encoded = True
        self._notify()

    def _decode(self, work: Work) -> Process:
        started = self._env.now
        yield self._cores.run(self._device.decode_s)
        if self._learns:
            self._costs.decoding.observe(self._device.tokens, 1, self._env.now - started)
        self._decoding.remove(work)
        self.finished += 1
        self._present.pop(work).succeed()

    def _notify(self) -> None:
        changed, self._changed = self._changed, self._env.event()
        changed.succeed()


def _until_killed(thread: Process, cores: Cores) -> Process:
    """Run ``thread``; when it is interrupted, the device lets go of what it was doing."""
    event: simpy.Event | None = None
    try:
        value = None
        while True:
            event = thread.send(value)
            value = yield event
    except simpy.Interrupt:
        thread.close()
        if isinstance(event, Task):
            cores.withdraw(event)
