"""The simulation against the service on three nodes: other loads than it was calibrated with."""

from __future__ import annotations

import statistics
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from benchmarks.nodes import Nodes, arguments
from benchmarks.processes import kill
from benchmarks.scale.calibrating import SIDE, Calibrating, Keys
from benchmarks.scale.calibration import WARMING, Calibration, loops_of
from benchmarks.scale.ledger import Spent
from benchmarks.scale.load import Answered, Wanted, run
from benchmarks.scale.loads import LOADS, Load, Ran, Seen
from benchmarks.scale.requests import Request
from benchmarks.scale.service import Shape
from benchmarks.scale.session import Session
from benchmarks.scale.sharing import fitted, paces
from serve_app.config import ServiceConfig

EDITORS = 2
TURNS = 4
"""Of every load, each with other requests: a real one alone is half chance."""
SIMULATIONS = 20
"""Of everything, with other photos: which editor one belongs to is chance, too."""

_RESULT_BYTES = 2**14
"""Of a small picture, about: how many of them an ingress keeps."""

Played = tuple[Load, Sequence[Request]]
"""A turn of a load. A part of the calibration comes before it, and one after the last."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """A real one, and under what conditions."""

    ran: Ran
    statuses: Counter[str]
    caches: Counter[str]
    neighbours: float


def validate(nodes: Nodes) -> dict[str, Any]:
    """Calibrate, run and simulate every load."""
    keys = Keys()
    shape = _shape(nodes)
    nodes.wait_for("Editor", EDITORS)
    calibrating = Calibrating(nodes, keys)
    played: list[Played] = []
    turns: dict[Load, list[_Turn]] = {load: [] for load in LOADS}
    for turn in range(TURNS):
        capacity = 0.0
        for load in LOADS:
            calibrating.run_part()
            requests = load.requests(turn, capacity, keys)
            played.append((load, requests))
            turns[load].append(_measured(nodes, load, requests))
            capacity = capacity or turns[load][turn].ran.per_s  # of the first load, which saturates
    calibrating.run_part()
    found = fitted(calibrating.found(), shape)
    pace = paces(found, shape)
    simulated = _simulated(found, shape, played, pace)
    return {
        "nodes": 1 + len(nodes.workers),
        "shape": {
            name: getattr(shape, name) for name in ("editors", "ingresses", "routers", "shards")
        },
        "calibration": _told(found),
        "paces": pace,
        "loads": [_compared(load, turns[load], simulated[load]) for load in LOADS],
    }


def _compared(load: Load, turns: Sequence[_Turn], simulated: Seen) -> dict[str, Any]:
    real = asdict(Seen.of([turn.ran for turn in turns]))
    return {
        "load": load.name,
        "turns": [asdict(Seen.of([turn.ran])) for turn in turns],
        "measured": real,
        "simulated": asdict(simulated),
        "off": {
            name: asdict(simulated)[name] / real[name] - 1
            for name in ("per_s", "p50_s", "p95_s", "p99_s")
        },
        "statuses": dict(sum((turn.statuses for turn in turns), Counter())),
        "caches": dict(sum((turn.caches for turn in turns), Counter())),
        "neighbours_cores": max(turn.neighbours for turn in turns),
    }


def _shape(nodes: Nodes) -> Shape:
    config = ServiceConfig.model_validate(arguments(nodes.root))
    sizes = config.deployments
    return Shape(
        EDITORS,
        proxies=1,
        ingresses=sizes.ingress.min,
        routers=sizes.router.min,
        shards=sizes.cache.min,
        validators=sizes.validator.min,
        near_results=config.cache.near_bytes // _RESULT_BYTES,
        near_s=config.cache.near_s,
        engine=config.engine,
    )


# The real one.


def _measured(nodes: Nodes, load: Load, requests: Sequence[Request]) -> _Turn:
    wanted = [Wanted(request.at, request.kind.steps, request.key) for request in requests]
    deaths = [
        threading.Timer(at, kill, [[editor]])
        for at, editor in zip(load.kill_at(requests), nodes.replicas("Editor"), strict=False)
    ]
    for death in deaths:
        death.start()
    with Spent() as spent:
        answers = run(nodes.port, wanted, SIDE, load.clients).answers
    for death in deaths:
        death.join()
    nodes.wait_for("Editor", EDITORS)
    return _Turn(
        _ran(answers),
        Counter(str(answer.status) for answer in answers),
        Counter(answer.cache for answer in answers),
        spent.neighbours,
    )


def _ran(answers: Sequence[Answered]) -> Ran:
    good = [answer for answer in answers if answer.status == httpx.codes.OK]
    sent, latencies = [each.at for each in good], [each.seconds for each in good]
    return Ran(sent, latencies, len(answers) - len(good))


# The simulated one.


def _simulated(
    found: Calibration, shape: Shape, played: Sequence[Played], pace: Sequence[float]
) -> dict[Load, Seen]:
    """What each load comes to, its turns together, after all that was played before them."""
    sessions = [_session(Session(found, shape, seed), played, pace) for seed in range(SIMULATIONS)]
    return {load: Seen.mean([Seen.of(session[load]) for session in sessions]) for load in LOADS}


def _session(
    session: Session, played: Sequence[Played], pace: Sequence[float]
) -> dict[Load, list[Ran]]:
    turns: dict[Load, list[Ran]] = {load: [] for load in LOADS}
    session.ask(WARMING)
    for number, (load, requests) in enumerate(played):
        session.slow_down(pace[number])
        for asked in loops_of(number):
            session.ask(asked)
        session.slow_down(statistics.mean(pace[number : number + 2]))  # before and after the load
        answered = session.play(requests, load.clients, load.kill_at(requests))
        good = [each for each in answered if each.answer and each.answer.served]
        sent, latencies = [each.at for each in good], [each.latency_s for each in good]
        turns[load].append(Ran(sent, latencies, len(answered) - len(good)))
    return turns


def _told(found: Calibration) -> dict[str, Any]:
    """For the results."""
    step = found.device.step
    return {
        "front_ms": {name: 1e3 * seconds for name, seconds in asdict(found.front).items()},
        "step_ms": {str(rows): 1e3 * step(rows) for rows in (1, 2, 4, 8)},
        "encode_ms": 1e3 * found.device.encode(1),
        "decode_ms": 1e3 * found.device.decode_s,
        "cores": found.cores,
        "restart_s": found.restart_s,
        "restart_cpu_s": found.restart_cpu_s,
        "parts": [[asdict(phase) for phase in part] for part in found.parts],
    }
