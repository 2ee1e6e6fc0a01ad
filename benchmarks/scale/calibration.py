"""What an edit costs on the running nodes: CPU seconds of each part, and of a step by its rows."""

from __future__ import annotations

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
from benchmarks.scale.requests import Kind, Request
from benchmarks.scale.service import Service, Shape

SIDE = 64
"""Of the photos, pixels: what the miniature is made for."""

IDLE_S = 10.0
PHASES = ((4, (4,), 60), (8, (4, 16), 80), (16, (4,), 100), (16, (16,), 60), (12, (8,), 60))
"""Clients, steps in turn, and edits."""
ALONE = (1, (4, 16), 30)
WARMING = (8, (4, 16), 40)
SESSION = (WARMING, ALONE, *PHASES)
"""Everything that editors have learned from before anything is compared."""

_TOKENS = 64
"""Of a row; all edits have as many, so that only equality counts."""

_BESIDE = ("jobs", "monitor", "controller", "raylet", "gcs_server", "other")
"""What works for an edit while the edit does not wait for it."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A closed loop: what it came to in the editors, and what it cost by part, CPU seconds."""

    edits: int
    steps: int
    rows: int
    cpu_s: dict[str, float]
    client_s: float
    seconds: float
    neighbours: float
    """Cores that others used meanwhile."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the simulation of this machine goes by."""

    front: Front
    device: Device
    cores: float
    background: float
    """Cores that the service takes while nothing is asked of it."""
    restart_s: float
    """From an editor's death to its first edit."""
    restart_cpu_s: float
    """Core seconds of these."""
    phases: list[Phase]
    alone_s: dict[int, float]
    """Median seconds of an edit that is alone, by steps."""

    def machine(self, env: simpy.Environment) -> Cores:
        """The cores that everything shares."""
        return Cores(env, self.cores, self.background)


class Keys:
    """Photos that nobody has sent before."""

    def __init__(self, first: int = 0) -> None:
        self._next = first

    def take(self, number: int) -> range:
        """So many new ones."""
        self._next += number
        return range(self._next - number, self._next)


def calibrate(nodes: Nodes, shape: Shape, keys: Keys) -> Calibration:
    """Run the loads and put the costs together."""
    restart_s, restart_cpu_s = _restart(nodes)
    _phase(nodes, keys, *WARMING, {})
    idle = idle_cores()
    alone, alone_s, records = _phase(nodes, keys, *ALONE, idle)
    phases = [_phase(nodes, keys, *each, idle)[0] for each in PHASES]
    encode_s, decode_s = (
        statistics.median(record["attempts"][0]["seconds"][stage] for record in records)
        for stage in ("encode", "decode")
    )
    edit_s, step_s, row_s = _editor_costs(phases)
    inside = min(1.0, edit_s / (encode_s + decode_s))
    device = Device(
        Affine(step_s, row_s),
        Affine(inside * encode_s, 0.0),
        inside * decode_s,
        _TOKENS,
        beside=False,
    )
    front = replace(_front(phases), editor_s=max(0.0, edit_s - encode_s - decode_s))
    found = Calibration(
        front,
        device,
        float(psutil.cpu_count() or 1),
        sum(idle.values()),
        restart_s,
        restart_cpu_s,
        [alone, *phases],
        alone_s,
    )
    return replace(found, front=_with_waits(found, shape))


def idle_cores() -> dict[str, float]:
    """Cores that each part takes while nothing is asked of it."""
    with Spent() as spent:
        time.sleep(IDLE_S)
    return {part: seconds / spent.seconds for part, seconds in spent.by_part.items()}


def _phase(
    nodes: Nodes,
    keys: Keys,
    clients: int,
    steps: Sequence[int],
    number: int,
    idle: Mapping[str, float],
) -> tuple[Phase, dict[int, float], list[dict[str, Any]]]:
    """The phase, median seconds by steps, and the edits' records."""
    wanted = [
        Wanted(0.0, steps[place % len(steps)], key) for place, key in enumerate(keys.take(number))
    ]
    steps_before = _steps()
    with Spent() as spent:
        outcome = run(nodes.port, wanted, SIDE, clients)
    if failed := [answer.status for answer in outcome.answers if answer.status != httpx.codes.OK]:
        raise RuntimeError(f"{len(failed)} calibration edits failed with {set(failed)}")
    phase = Phase(
        number,
        _steps() - steps_before,
        sum(each.steps for each in wanted),
        without(spent.by_part, idle, spent.seconds),
        outcome.cpu_s,
        spent.seconds,
        spent.neighbours,
    )
    medians = {
        count: statistics.median(
            answer.seconds
            for answer, each in zip(outcome.answers, wanted, strict=True)
            if each.steps == count
        )
        for count in steps
    }
    return phase, medians, _records(nodes, outcome) if clients == 1 else []


def without(
    spent: Mapping[str, float], idle: Mapping[str, float], seconds: float
) -> dict[str, float]:
    """``spent`` less what ``idle`` takes in so many seconds anyway; never below zero."""
    return {part: max(0.0, cpu_s - idle.get(part, 0.0) * seconds) for part, cpu_s in spent.items()}


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


def _editor_costs(phases: Sequence[Phase]) -> tuple[float, float, float]:
    """CPU seconds of an editor for an edit, for a step and for a row: least squares, none below 0.

    Each phase counts alike, whatever its length.
    """
    spent = np.array([phase.cpu_s["editor"] for phase in phases])
    counted = np.array([(phase.edits, phase.steps, phase.rows) for phase in phases], dtype=float)
    found, _ = nnls(counted / spent[:, None], np.ones(len(phases)))
    edit_s, step_s, row_s = (float(each) for each in found)
    return edit_s, step_s, row_s


def _front(phases: Sequence[Phase]) -> Front:
    """What the parts cost an edit, under load."""
    edits = sum(phase.edits for phase in phases)

    def of(*parts: str) -> float:
        return sum(phase.cpu_s.get(part, 0.0) for phase in phases for part in parts) / edits

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


def _with_waits(found: Calibration, shape: Shape) -> Front:
    """The front with what an edit that is alone shows: hops that wait, or work beside it.

    If it took longer than all its work, hops wait for each other; if it was done sooner, a part
    of the work is not on its way.
    """
    late_s = statistics.mean(
        seconds - _alone_s(found, shape, steps) for steps, seconds in found.alone_s.items()
    )
    front = found.front
    if late_s >= 0:
        return replace(front, wait_s=late_s)
    parts = ("proxy_s", "ingress_s", "router_s", "cache_s", "editor_s", "validator_s")
    work_s = sum(getattr(front, part) for part in parts)
    on_its_way = max(0.0, 1 + late_s / work_s)
    scaled = {part: on_its_way * getattr(front, part) for part in parts}
    return replace(front, beside_s=front.beside_s + (1 - on_its_way) * work_s, **scaled)


def _alone_s(found: Calibration, shape: Shape, steps: int) -> float:
    env = simpy.Environment()
    service = Service(env, shape, found.front, found.device, found.machine(env))
    request = Request(0.0, Kind(steps), 0, 0)
    env.process(service.open_loop([request]))
    env.run()
    return request.latency_s


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
