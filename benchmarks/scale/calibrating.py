"""The calibration on the running nodes: an editor's restart, and closed loops of clients."""

from __future__ import annotations

import itertools
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
import psutil

from benchmarks.nodes import APPLICATION, Nodes
from benchmarks.processes import kill
from benchmarks.scale.accounting import Stages, front_of, steps_of
from benchmarks.scale.calibration import WARMING, Asked, Calibration, Phase, loops_of
from benchmarks.scale.ledger import Spent
from benchmarks.scale.load import Answered, Outcome, Wanted, run

SIDE = 64
"""Of the photos, pixels: what the miniature is made for."""
IDLE_S = 10.0
_RESTARTS = 3


class Keys:
    """Photos that nobody has sent before."""

    def __init__(self, first: int = 0) -> None:
        self._next = first

    def take(self, number: int) -> range:
        """So many new ones."""
        self._next += number
        return range(self._next - number, self._next)


class Calibrating:
    """Runs a part whenever it is asked to, and puts the costs together in the end.

    It begins with restarts of an editor and with what warms both of them up.
    """

    def __init__(self, nodes: Nodes, keys: Keys) -> None:
        self._nodes = nodes
        self._keys = keys
        self._idle = idle_cores()
        self._restarts = [_restart(nodes, self._idle) for _ in range(_RESTARTS)]
        self._parts: list[list[Phase]] = []
        self._alone: list[Answered] = []
        self._records: list[dict[str, Any]] = []
        self._run(WARMING)

    def run_part(self) -> None:
        """The next one; raises ``RuntimeError`` if an edit fails."""
        phases = []
        for asked in loops_of(len(self._parts)):
            phase, outcome = self._run(asked)
            phases.append(phase)
            if asked.alone:
                self._alone += outcome.answers
                self._records += _records(self._nodes, outcome)
        self._parts.append(phases)

    def found(self) -> Calibration:
        """The costs, as if all cores were the service's alone."""
        phases = [phase for part in self._parts for phase in part]
        stages = Stages.of(self._records)
        took_s = statistics.mean(answer.seconds for answer in self._alone)
        elsewhere_s = took_s - stages.edit_s(statistics.mean(map(steps_of, self._records)))
        return Calibration(
            front_of(phases, elsewhere_s),
            stages.device(phases),
            float(psutil.cpu_count() or 1),
            *(statistics.mean(column) for column in zip(*self._restarts, strict=True)),
            self._parts,
        )

    def _run(self, asked: Asked) -> tuple[Phase, Outcome]:
        keys = self._keys.take(asked.edits)
        wanted = [Wanted(0.0, steps, key) for steps, key in zip(itertools.cycle(asked.steps), keys)]
        steps_before = _steps()
        with Spent() as spent:
            outcome = run(self._nodes.port, wanted, SIDE, asked.clients)
        statuses = Counter(answer.status for answer in outcome.answers)
        if set(statuses) != {httpx.codes.OK}:
            raise RuntimeError(f"Calibration edits failed: {dict(statuses)}")
        phase = Phase(
            asked,
            _steps() - steps_before,
            sum(each.steps for each in wanted),
            without(spent.by_part, self._idle, spent.seconds),
            outcome.cpu_s,
            outcome.took_s,
            spent.neighbours,
        )
        return phase, outcome


def idle_cores() -> dict[str, float]:
    """Cores that each part takes while nothing is asked of it."""
    with Spent() as spent:
        time.sleep(IDLE_S)
    return {part: seconds / spent.seconds for part, seconds in spent.by_part.items()}


def without(
    spent: Mapping[str, float], idle: Mapping[str, float], seconds: float
) -> dict[str, float]:
    """``spent`` less what ``idle`` takes in so many seconds anyway.

    Below zero where a part has put off what it does while nothing is asked of it.
    """
    return {part: cpu_s - idle.get(part, 0.0) * seconds for part, cpu_s in spent.items()}


def _steps() -> int:
    """Steps that all editors have made, however many edits shared them."""
    from ray import serve

    editors = serve.get_deployment_handle("Editor", APPLICATION)
    return sum(each["steps"] for each in editors.broadcast("load_figures").results(timeout_s=30))


def _records(nodes: Nodes, outcome: Outcome) -> list[dict[str, Any]]:
    return [
        httpx.get(f"{nodes.url}/v1/results/{answer.id}/metadata").json()
        for answer in outcome.answers
    ]


def _restart(nodes: Nodes, idle: Mapping[str, float]) -> tuple[float, float]:
    """Kill an editor while there is nothing to do; seconds until it is back, and core seconds."""
    editors = nodes.replicas("Editor")
    with Spent() as spent:
        started = time.monotonic()
        kill(editors[:1])
        deadline = started + 180.0
        while not set(nodes.replicas("Editor")) - set(editors):  # its successor is being started
            if time.monotonic() > deadline:
                raise TimeoutError("No editor was started in place of the one that was killed.")
            time.sleep(0.1)
        nodes.wait_for("Editor", len(editors))
    cpu_s = sum(without(spent.by_part, idle, spent.seconds).values())
    return spent.seconds, min(spent.seconds, max(0.0, cpu_s))
