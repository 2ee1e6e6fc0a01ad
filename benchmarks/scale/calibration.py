"""What an edit costs on the running nodes: seconds of each part, and of a step by its rows.

Seconds are those of an edit that has the machine to itself. Its records tell what the editor takes
of them; the rest is shared out between the other parts by their CPU seconds, and what a further row
adds to a step is found from the editors' CPU seconds while many edits are there.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import httpx
import numpy as np
import psutil
import simpy

from benchmarks.nodes import APPLICATION, Nodes
from benchmarks.processes import kill
from benchmarks.scale.cores import Cores
from benchmarks.scale.costs import Affine, Device, Front
from benchmarks.scale.ledger import Spent
from benchmarks.scale.load import Outcome, Wanted, run

SIDE = 64
"""Of the photos, pixels: what the miniature is made for."""

IDLE_S = 10.0
_TOKENS = 64
"""Of a row; all edits have as many, so that only equality counts."""

_ON_ITS_WAY = ("proxy", "ingress", "router", "cache", "validator")
_BESIDE = ("jobs", "monitor", "controller", "raylet", "gcs_server", "other")
"""What works for an edit while the edit does not wait for it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A closed loop: ``edits`` of these ``steps`` in turn, from ``clients`` that wait."""

    clients: int
    steps: tuple[int, ...]
    edits: int


WARMING = Asked(8, (4, 16), 40)
ALONE = Asked(1, (4, 16), 30)
PHASES = (
    Asked(4, (4,), 60),
    Asked(8, (4, 16), 80),
    Asked(16, (4,), 100),
    Asked(16, (16,), 60),
    Asked(12, (8,), 60),
)
SESSION = (WARMING, ALONE, *PHASES)
"""Everything that editors have learned from before anything is compared."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What was asked, what it came to in the editors, and what it cost by part, CPU seconds.

    ``took_s`` is from the first request to the last answer, ``neighbours`` the cores that others
    used meanwhile.
    """

    asked: Asked
    steps: int
    rows: int
    cpu_s: dict[str, float]
    client_s: float
    took_s: float
    neighbours: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the simulation of this machine goes by.

    ``restart_s`` pass from an editor's death to its first edit, with ``restart_cpu_s`` core
    seconds.
    """

    front: Front
    device: Device
    cores: float
    restart_s: float
    restart_cpu_s: float
    phases: list[Phase]

    def machine(self, env: simpy.Environment) -> Cores:
        """The cores that everything shares."""
        return Cores(env, self.cores)


class Keys:
    """Photos that nobody has sent before."""

    def __init__(self, first: int = 0) -> None:
        self._next = first

    def take(self, number: int) -> range:
        """So many new ones."""
        self._next += number
        return range(self._next - number, self._next)


def calibrate(nodes: Nodes, keys: Keys) -> Calibration:
    """Run the phases and put the costs together, as if all cores were the service's alone."""
    idle = idle_cores()
    restart_s, restart_cpu_s = _restart(nodes, idle)
    _phase(nodes, keys, WARMING, idle)
    alone, outcome = _phase(nodes, keys, ALONE, idle)
    stages = _Stages.of(_records(nodes, outcome))
    phases = [_phase(nodes, keys, asked, idle)[0] for asked in PHASES]
    mean_s = statistics.mean(answer.seconds for answer in outcome.answers)
    elsewhere_s = mean_s - stages.edit_s(alone.rows / alone.asked.edits)
    cores = float(psutil.cpu_count() or 1)
    return Calibration(
        _front([alone, *phases], elsewhere_s),
        stages.device(alone, phases),
        cores,
        restart_s,
        restart_cpu_s,
        [alone, *phases],
    )


def idle_cores() -> dict[str, float]:
    """Cores that each part takes while nothing is asked of it."""
    with Spent() as spent:
        time.sleep(IDLE_S)
    return {part: seconds / spent.seconds for part, seconds in spent.by_part.items()}


def _phase(
    nodes: Nodes, keys: Keys, asked: Asked, idle: Mapping[str, float]
) -> tuple[Phase, Outcome]:
    """The phase, and what it was answered."""
    wanted = [
        Wanted(0.0, steps, key)
        for steps, key in zip(itertools.cycle(asked.steps), keys.take(asked.edits))
    ]
    steps_before = _steps()
    with Spent() as spent:
        outcome = run(nodes.port, wanted, SIDE, asked.clients)
    if failed := [answer.status for answer in outcome.answers if answer.status != httpx.codes.OK]:
        raise RuntimeError(f"{len(failed)} calibration edits failed with {set(failed)}")
    phase = Phase(
        asked,
        _steps() - steps_before,
        sum(each.steps for each in wanted),
        without(spent.by_part, idle, spent.seconds),
        outcome.cpu_s,
        outcome.took_s,
        spent.neighbours,
    )
    return phase, outcome


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


@dataclass(frozen=True, slots=True)
class _Stages:
    """Seconds of an editor for an edit that is alone."""

    encode_s: float
    step_s: float
    decode_s: float

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> Self:
        spent = [record["attempts"][0]["seconds"] for record in records]
        steps = sum(record["plan"]["num_inference_steps"] for record in records)
        encode_s, decode_s = (
            statistics.mean(seconds[stage] for seconds in spent) for stage in ("encode", "decode")
        )
        return cls(encode_s, sum(seconds["denoise"] for seconds in spent) / steps, decode_s)

    def edit_s(self, steps: float) -> float:
        """Of all stages."""
        return self.encode_s + steps * self.step_s + self.decode_s

    def device(self, alone: Phase, phases: Sequence[Phase]) -> Device:
        """The device; of the seconds for a further row each phase tells alike."""
        wall_s = alone.asked.edits * self.edit_s(alone.rows / alone.asked.edits)
        per_cpu_s = wall_s / alone.cpu_s["editor"]
        each_s = self.encode_s + self.decode_s
        weights, rows_s = [], []
        for phase in phases:
            spent_s = per_cpu_s * phase.cpu_s["editor"]
            left_s = spent_s - phase.asked.edits * each_s - phase.steps * self.step_s
            weights.append((phase.rows - phase.steps) / spent_s)
            rows_s.append(left_s / spent_s)
        further = np.array(weights)
        row_s = max(0.0, float(further @ np.array(rows_s) / (further @ further)))
        return Device(
            Affine(self.step_s - row_s, row_s),
            Affine(self.encode_s, 0.0),
            self.decode_s,
            _TOKENS,
            beside=False,
        )


def _front(phases: Sequence[Phase], elsewhere_s: float) -> Front:
    """What the parts cost an edit under load; on its way all of them take ``elsewhere_s``."""
    edits = sum(phase.asked.edits for phase in phases)

    def of(*parts: str) -> float:
        spent_s = sum(phase.cpu_s.get(part, 0.0) for phase in phases for part in parts)
        return max(0.0, spent_s / edits)

    on_its_way = {f"{part}_s": of(part) for part in _ON_ITS_WAY}
    on_its_way["client_s"] = sum(phase.client_s for phase in phases) / edits
    longer = elsewhere_s / sum(on_its_way.values())
    front = Front(**{name: longer * seconds for name, seconds in on_its_way.items()})
    return replace(
        front,
        beside_s=of(*_BESIDE),
        near_s=front.ingress_s / 2,
        near_proxy_s=front.proxy_s,
    )


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
