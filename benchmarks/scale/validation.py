"""The simulation against the service on three nodes: other loads than it was calibrated with."""

from __future__ import annotations

import os
import statistics
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from benchmarks.nodes import Nodes, arguments
from benchmarks.processes import kill
from benchmarks.scale.calibrating import SIDE, Calibrating, Keys
from benchmarks.scale.calibration import ALONE, PHASES, WARMING, Asked, Calibration
from benchmarks.scale.ledger import Spent
from benchmarks.scale.load import Answered, Wanted, run
from benchmarks.scale.requests import Kind, Request, arrivals
from benchmarks.scale.service import Shape
from benchmarks.scale.session import Session
from benchmarks.scale.sharing import fitted
from benchmarks.traces import percentile
from serve_app.config import ServiceConfig

EDITORS = 2
KINDS = (Kind(4, weight=5), Kind(8, weight=3), Kind(16, weight=2))
REPEATS = 0.15
CLIENTS = 10
REQUESTS = 240
SIMULATIONS = 20
"""Of each run, with other photos: which editor one belongs to is chance."""

_RESULT_BYTES = 2**14
"""Of a small picture, about: how many of them an ingress keeps."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: by ``clients`` that wait, or at ``share`` of what those got through.

    With ``kill`` an editor dies in the middle. What is not ``aimed`` at is shown all the same.
    """

    name: str
    seed: int
    share: float = 0.0
    clients: int | None = None
    kill: bool = False
    aimed: bool = True


LOADS = (
    Load("saturated", 101, clients=CLIENTS),
    Load("at 50 %", 102, 0.5),
    Load("at 70 %", 105, 0.7),
    # So near to what there is that 6 % less of it would make the 95th percentile a quarter longer.
    Load("at 85 %", 103, 0.85, aimed=False),
    # More, and the one that is left, beside the start of the other, would be saturated.
    Load("at 30 %, an editor dies", 104, 0.3, kill=True),
)

Played = Asked | tuple[Load, Sequence[Request]]
"""A closed loop of the calibration, or a load."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a load came to: seconds, and requests a second from the first to the last answer."""

    per_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    unserved: int

    @classmethod
    def of(cls, sent: Sequence[float], latencies: Sequence[float], unserved: int) -> Seen:
        """Of requests that were answered: when each was sent, and how long it took."""
        ended = max(at + took for at, took in zip(sent, latencies, strict=True))
        shares = (percentile(latencies, share) for share in (0.5, 0.95, 0.99))
        return cls(len(latencies) / (ended - min(sent)), *shares, unserved)

    @classmethod
    def mean(cls, each: Sequence[Seen]) -> Seen:
        """The mean of several."""
        columns = zip(*(asdict(one).values() for one in each), strict=True)
        return cls(*(statistics.mean(column) for column in columns))


def validate(nodes: Nodes) -> dict[str, Any]:
    """Calibrate, run and simulate every load."""
    keys = Keys()
    shape = _shape(nodes)
    nodes.wait_for("Editor", EDITORS)
    calibrating = Calibrating(nodes, keys)
    played: list[Played] = [WARMING]
    measured: list[tuple[Seen, dict[str, Any]]] = []
    # A part of the calibration before each load: what drifts does so for both.
    for phase, load in zip(PHASES, LOADS, strict=True):
        for asked in (ALONE, phase):
            calibrating.run(asked)
            played.append(asked)
        capacity = measured[0][0].per_s if measured else 0.0
        requests = _requests(load, capacity, keys)
        measured.append(_measured(nodes, load, requests))
        played.append((load, requests))
    found = fitted(calibrating.found(), shape)
    simulated = _simulated(found, shape, played)
    return {
        "nodes": 1 + len(nodes.workers),
        "shape": {
            name: getattr(shape, name) for name in ("editors", "ingresses", "routers", "shards")
        },
        "calibration": _told(found),
        "loads": [
            _compared(load, *real, seen)
            for load, real, seen in zip(LOADS, measured, simulated, strict=True)
        ],
    }


def _compared(
    load: Load, real: Seen, conditions: Mapping[str, Any], simulated: Seen
) -> dict[str, Any]:
    return {
        "load": load.name,
        "aimed": load.aimed,
        "measured": asdict(real),
        "simulated": asdict(simulated),
        "off": {
            name: asdict(simulated)[name] / asdict(real)[name] - 1
            for name in ("per_s", "p50_s", "p95_s", "p99_s")
        },
        **conditions,
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


def _requests(load: Load, capacity: float, keys: Keys) -> list[Request]:
    """Photos that nobody has sent before, but for the repeats among them."""
    rate = load.share * capacity or 1.0
    requests = list(arrivals(load.seed, rate, REQUESTS / rate, KINDS, REPEATS))
    first = keys.take(len(requests)).start
    for request in requests:
        request.key = request.subject = first + request.key
    return requests


# The real one.


def _measured(nodes: Nodes, load: Load, requests: Sequence[Request]) -> tuple[Seen, dict[str, Any]]:
    """What the load came to, and under what conditions."""
    wanted = [Wanted(request.at, request.kind.steps, request.key) for request in requests]
    killing = None
    if load.kill:
        victim = nodes.replicas("Editor")[0]
        killing = threading.Timer(_moment(requests), kill, [[victim]])
        killing.start()
    before = os.getloadavg()[0]
    with Spent() as spent:
        answers = run(nodes.port, wanted, SIDE, load.clients).answers
    if killing is not None:
        killing.join()
        nodes.wait_for("Editor", EDITORS)
    conditions = {
        "requests": len(requests),
        "load_average_before": before,
        "neighbours_cores": spent.neighbours,
        "statuses": dict(Counter(str(answer.status) for answer in answers)),
        "caches": dict(Counter(answer.cache for answer in answers)),
    }
    return _seen(answers), conditions


def _moment(requests: Sequence[Request]) -> float:
    """In the middle."""
    return requests[-1].at / 2


def _seen(answers: Sequence[Answered]) -> Seen:
    good = [answer for answer in answers if answer.status == httpx.codes.OK]
    unserved = len(answers) - len(good)
    return Seen.of([each.at for each in good], [each.seconds for each in good], unserved)


# The simulated one.


def _simulated(found: Calibration, shape: Shape, played: Sequence[Played]) -> list[Seen]:
    """What each load comes to, after all that was played before it."""
    sessions = (_session(Session(found, shape, seed), played) for seed in range(SIMULATIONS))
    return [Seen.mean(of_load) for of_load in zip(*sessions, strict=True)]


def _session(session: Session, played: Sequence[Played]) -> list[Seen]:
    seen = []
    for each in played:
        if isinstance(each, Asked):
            session.ask(each)
            continue
        load, requests = each
        kill_at = _moment(requests) if load.kill else None
        answered = session.play(requests, load.clients, kill_at)
        good = [each for each in answered if each.answer and each.answer.served]
        times = [each.at for each in good], [each.latency_s for each in good]
        seen.append(Seen.of(*times, len(answered) - len(good)))
    return seen


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
        "phases": [asdict(phase) for phase in found.phases],
    }
