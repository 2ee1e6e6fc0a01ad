"""What an edit costs on the running nodes: CPU seconds of each part, and of a step by its rows."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
import numpy as np
import psutil
import simpy
from scipy.optimize import nnls

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

    ``took_s`` is from the first request to the last answer, ``pace`` what the cores were worth,
    and ``neighbours`` the cores that others used meanwhile.
    """

    asked: Asked
    steps: int
    rows: int
    cpu_s: dict[str, float]
    client_s: float
    took_s: float
    pace: float
    neighbours: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the simulation of this machine goes by.

    Of its ``cores`` a task has ``most`` if it is alone. ``restart_s`` pass from an editor's death
    to its first edit, with ``restart_cpu_s`` core seconds. ``pace`` is what the costs hold at.
    """

    front: Front
    device: Device
    cores: float
    most: float
    restart_s: float
    restart_cpu_s: float
    phases: list[Phase]
    pace: float

    def machine(self, env: simpy.Environment) -> Cores:
        """The cores that everything shares."""
        return Cores(env, self.cores, self.most)

    def slowness(self, pace: float) -> float:
        """How many times as long everything takes at this ``pace``."""
        return pace / self.pace


class Keys:
    """Photos that nobody has sent before."""

    def __init__(self, first: int = 0) -> None:
        self._next = first

    def take(self, number: int) -> range:
        """So many new ones."""
        self._next += number
        return range(self._next - number, self._next)


def calibrate(nodes: Nodes, keys: Keys) -> Calibration:
    """Run the phases and put the costs together.

    How the cores are shared is not known yet: as if they were the service's alone.
    """
    restart_s, restart_cpu_s = _restart(nodes)
    _phase(nodes, keys, WARMING, {})
    idle = idle_cores()
    alone, outcome = _phase(nodes, keys, ALONE, idle)
    records = _records(nodes, outcome)
    phases = [alone, *(_phase(nodes, keys, asked, idle)[0] for asked in PHASES)]
    encode_s, decode_s = (
        statistics.median(record["attempts"][0]["seconds"][stage] for record in records)
        for stage in ("encode", "decode")
    )
    pace = statistics.mean(phase.pace for phase in phases)
    edit_s, step_s, row_s = _editor_costs(phases, pace)
    inside = min(1.0, edit_s / (encode_s + decode_s))
    device = Device(
        Affine(step_s, row_s),
        Affine(inside * encode_s, 0.0),
        inside * decode_s,
        _TOKENS,
        beside=False,
    )
    front = replace(_front(phases, pace), editor_s=max(0.0, edit_s - encode_s - decode_s))
    cores = float(psutil.cpu_count() or 1)
    return Calibration(front, device, cores, 1.0, restart_s, restart_cpu_s, phases, pace)


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
        spent.pace,
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


def _editor_costs(phases: Sequence[Phase], pace: float) -> tuple[float, float, float]:
    """CPU seconds of an editor for an edit, for a step and for a row: least squares, none below 0.

    Each phase counts alike, whatever its length.
    """
    spent = np.array([phase.cpu_s["editor"] * pace / phase.pace for phase in phases])
    counted = np.array(
        [(phase.asked.edits, phase.steps, phase.rows) for phase in phases], dtype=float
    )
    found, _ = nnls(counted / spent[:, None], np.ones(len(phases)))
    edit_s, step_s, row_s = (float(each) for each in found)
    return edit_s, step_s, row_s


def _front(phases: Sequence[Phase], pace: float) -> Front:
    """What the parts cost an edit, under load."""
    edits = sum(phase.asked.edits for phase in phases)

    def of(*parts: str) -> float:
        spent = (
            phase.cpu_s.get(part, 0.0) * pace / phase.pace for phase in phases for part in parts
        )
        return max(0.0, sum(spent) / edits)

    return Front(
        client_s=sum(phase.client_s for phase in phases) / edits,
        proxy_s=of("proxy"),
        ingress_s=of("ingress"),
        router_s=of("router"),
        cache_s=of("cache"),
        validator_s=of("validator"),
        beside_s=of(*_BESIDE),
        near_s=of("ingress") / 2,
        near_proxy_s=of("proxy"),
    )


def _restart(nodes: Nodes) -> tuple[float, float]:
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
    return spent.seconds, min(spent.seconds, spent.by_part["editor"])
