"""What changes the editors while they work: deaths, restarts, and the autoscaler."""

from __future__ import annotations

import random
import statistics
from collections import deque
from dataclasses import dataclass

import simpy

from benchmarks.scale.cores import Cores
from benchmarks.scale.editors import Editor
from benchmarks.scale.parts import Process
from benchmarks.scale.service import Service
from serve_app.deployments.work_scaling import editors_for

_LOOK_S = 1.0
"""How often the simulated autoscaler looks; Serve's own does ten times a second."""
_LOOKING_BACK = 30
"""Looks that it goes by the mean of, as Serve by the last 30 seconds."""


@dataclass(frozen=True, slots=True)
class Deaths:
    """Each editor dies after ``mean_s`` seconds on the average, and is back after ``restart_s``."""

    mean_s: float
    restart_s: float

    def over(self, env: simpy.Environment, service: Service, seed: int) -> None:
        """Let the editors of ``service`` die from now on."""
        for editor in service.editors:
            draw = random.Random(f"{seed} {editor.name}")
            env.process(self._of(env, editor, draw))

    def _of(self, env: simpy.Environment, editor: Editor, draw: random.Random) -> Process:
        while True:
            yield env.timeout(draw.expovariate(1 / self.mean_s))
            if editor.alive:
                yield from dies(env, editor, self.restart_s)


def dies(
    env: simpy.Environment,
    editor: Editor,
    restart_s: float,
    machine: Cores | None = None,
    cpu_s: float = 0.0,
) -> Process:
    """Kill ``editor`` now; it takes edits again after ``restart_s``.

    In the last ``cpu_s`` of these it takes a share of the ``machine``, if there is one.
    """
    editor.kill()
    if machine is None:
        yield env.timeout(restart_s)
    else:
        yield env.timeout(restart_s - cpu_s)
        machine.join()
        yield env.timeout(cpu_s)
        machine.leave()
    editor.start()


@dataclass(frozen=True, slots=True)
class Scaling:
    """The editors that the waiting work calls for, between bounds and after delays, as Serve's.

    ``load_s`` passes until a new editor takes edits. No editor may die meanwhile: who starts it
    again would be two.
    """

    target_work_s: float
    least: int
    most: int
    upscale_delay_s: float
    downscale_delay_s: float
    load_s: float

    def over(self, env: simpy.Environment, service: Service) -> list[tuple[float, int]]:
        """Scale ``service`` from now on; returns the list of times and numbers that will grow."""
        sizes = [(env.now, service.taking)]
        env.process(self._run(env, service, sizes))
        return sizes

    def _run(
        self, env: simpy.Environment, service: Service, sizes: list[tuple[float, int]]
    ) -> Process:
        wanted_since: dict[bool, float] = {}  # by whether more are wanted
        loading: set[int] = set()
        waiting_s: deque[float] = deque(maxlen=_LOOKING_BACK)
        while True:
            yield env.timeout(_LOOK_S)
            here = [editor for editor in service.editors if editor.alive]
            taking = [editor for editor in here if not editor.draining]
            size = len(taking) + len(loading)
            waiting_s.append(sum(editor.work_s for editor in here))
            called_for = editors_for(statistics.fmean(waiting_s), self.target_work_s)
            wanted = min(self.most, max(self.least, called_for))
            for more, delay_s in ((True, self.upscale_delay_s), (False, self.downscale_delay_s)):
                if wanted == size or (wanted > size) != more:
                    wanted_since.pop(more, None)
                elif env.now - wanted_since.setdefault(more, env.now) >= delay_s:
                    del wanted_since[more]
                    if more:
                        resting = [
                            each
                            for each in service.editors
                            if not each.alive and each.name not in loading
                        ]
                        for editor in resting[: wanted - size]:
                            loading.add(editor.name)
                            env.process(self._load(env, editor, loading))
                    else:
                        for editor in taking[wanted - size :]:
                            editor.draining = True
            for editor in here:
                if editor.draining and not editor.pending:
                    editor.stop()
            sizes.append((env.now, service.taking))

    def _load(self, env: simpy.Environment, editor: Editor, loading: set[int]) -> Process:
        yield env.timeout(self.load_s)
        loading.discard(editor.name)
        editor.start()
