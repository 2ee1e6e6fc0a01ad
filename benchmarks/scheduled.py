"""The real engine under a trace of arrivals, with a policy of choice; lives in its own process."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from benchmarks.policies import FirstComeFirstServed
from benchmarks.sides import Edit, Side
from serve_app.config import EngineConfig, ModelConfig
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.state import CanvasEvent, CanvasStep, Ticket

WARM_UP = 3


class ScheduledSide(Side):
    """Edits arrive by the clock; ``baseline`` serves them one at a time, as they come."""

    def __init__(self, model: ModelConfig, baseline: bool) -> None:
        super().__init__(model)
        policy = FirstComeFirstServed() if baseline else None
        # What a plain pipeline behind a queue does: encode, denoise and decode in turn.
        beside = False if baseline else None
        self._loop = DeviceLoop(self._checkpoint, EngineConfig(), policy, beside)

    def service_seconds(self, edits: Sequence[Edit]) -> float:
        """Mean seconds of an edit when the next comes only after it is done."""
        for edit in edits[:WARM_UP]:
            self._run(edit)
        started = time.perf_counter()
        for edit in edits:
            self._run(edit)
        return (time.perf_counter() - started) / len(edits)

    def latencies(self, trace: Sequence[tuple[float, Edit]]) -> list[float]:
        """Submit each edit at its time, seconds; return how long each took from then."""
        tasks = [self._task(edit) for _, edit in trace]
        ended = [0.0] * len(trace)
        futures = []
        started = time.perf_counter()
        for i, ((at, _), task) in enumerate(zip(trace, tasks, strict=True)):
            time.sleep(max(0.0, started + at - time.perf_counter()))
            ticket = Ticket(task, None)

            def note(_: Future[Any], i: int = i) -> None:
                ended[i] = time.perf_counter() - started

            ticket.future.add_done_callback(note)
            self._loop.submit(ticket)
            futures.append(ticket.future)
        for future in futures:
            future.result()
        return [end - at for end, (at, _) in zip(ended, trace, strict=True)]

    def steps_after_leaving(self, edits: Sequence[Edit], leavers: int, seed: int) -> list[int]:
        """Let ``leavers`` drop out at random moments; steps each was still part of."""
        draw = random.Random(seed)
        counted = []
        for number in range(leavers):
            seen: list[int] = []

            def listen(event: CanvasEvent, seen: list[int] = seen) -> None:
                if isinstance(event, CanvasStep):
                    seen.append(event.step)

            leaver = Ticket(self._task(edits[number % len(edits)]), listen)
            mates = [Ticket(self._task(edit), None) for edit in edits[:3]]
            for ticket in (leaver, *mates):
                self._loop.submit(ticket)
            while not seen:
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.02))
            before = len(seen)
            leaver.future.cancel()
            for mate in mates:
                mate.future.result()
            counted.append(len(seen) - before)
        return counted

    def encode_seconds(self, edits: Sequence[Edit]) -> float:
        """Seconds in the encoders, all edits together."""
        tickets = [Ticket(self._task(edit), None) for edit in edits]
        for ticket in tickets:
            self._loop.submit(ticket)
        return sum(ticket.future.result().seconds["encode"] for ticket in tickets)

    def close(self) -> None:
        self._loop.close()

    def _run(self, edit: Edit) -> None:
        ticket = Ticket(self._task(edit), None)
        self._loop.submit(ticket)
        ticket.future.result()
