"""One simulated run of a cluster of H200s, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import simpy

from benchmarks.scale.changes import Deaths, Scaling
from benchmarks.scale.costs import Front
from benchmarks.scale.h200 import DRAFT, FINAL, device
from benchmarks.scale.requests import Answer, Kind, Request, arrivals
from benchmarks.scale.service import Service, Shape
from benchmarks.traces import percentile

MIXED = "nine of 4 steps to one of 50"
MIXES: dict[str, tuple[Kind, ...]] = {
    "4 steps": (DRAFT,),
    MIXED: (replace(DRAFT, weight=9), FINAL),
    "50 steps": (FINAL,),
}

# Assumptions: what no benchmark of ours can measure.
REPEATS = 0.1
"""Requests that somebody has sent before."""
AGAIN = 0.1
"""Edits that fail validation and are edited once more."""
LOAD_S = 180.0
"""From the start of an editor's process to its first edit."""
DEATHS = Deaths(mean_s=24 * 3600.0, restart_s=LOAD_S)
"""Each editor dies once a day."""

_LEAST_REQUESTS = 3000
_LEAST_S = 60.0
_LEAST_EDITS_LONG = 12.0
"""A run lasts so many times as long as the longest edit."""
_WARM_UP = 0.4


@dataclass(frozen=True, slots=True)
class Run:
    """Loads are shares of what all devices together can do.

    ``later`` is the load of the second half, if it is another. ``lasts_s`` is by default long
    enough for the 99th percentile.
    """

    shape: Shape
    front: Front
    mix: str
    load: float
    later: float | None = None
    lasts_s: float | None = None
    scaling: Scaling | None = None
    deaths: Deaths | None = DEATHS
    seed: int = 9


@dataclass(frozen=True, slots=True)
class Result:
    """What came of the requests that arrived after the warm-up.

    ``p99_by_steps_s`` tells drafts and finals apart. ``busy`` is by part, 0..1, the devices among
    them. ``editor_hours`` are those of editors that were there.
    """

    offered_per_s: float
    served_per_s: float
    p50_s: float
    p99_s: float
    p99_by_steps_s: dict[str, float]
    refused: float
    lost: float
    sent_elsewhere: int
    busy: dict[str, float] = field(default_factory=dict)
    editor_hours: float = 0.0


def edit_s(mix: str) -> float:
    """Mean seconds of a device for an edit that is validated, with the further attempts."""
    one, kinds = device(), MIXES[mix]
    seconds = (
        kind.weight * (one.encode(kind.rows) + kind.steps * one.step(kind.rows) + one.decode_s)
        for kind in kinds
    )
    return (1 + AGAIN) * sum(seconds) / sum(kind.weight for kind in kinds)


def requests_per_s(gpus: int, mix: str, load: float) -> float:
    """Requests a second that make ``load`` of the devices: repeated ones are no work for them."""
    return load * gpus / edit_s(mix) / (1 - REPEATS)


def simulate(run: Run) -> Result:
    """Run it; the same run gives the same result."""
    env = simpy.Environment()
    service = Service(env, run.shape, run.front, device(), seed=run.seed, again=AGAIN)
    if run.deaths:
        run.deaths.over(env, service, run.seed)
    sizes = run.scaling.over(env, service) if run.scaling else [(0.0, run.shape.editors)]
    requests, lasts_s = _requests(run)
    env.process(service.open_loop(requests))
    warm_s = _WARM_UP * lasts_s
    env.run(warm_s)
    before = _worked(service)
    env.run(lasts_s)
    took_s = lasts_s - warm_s
    busy = {
        name: (worked_s - before[name][0]) / (took_s * replicas)
        for name, (worked_s, replicas) in _worked(service).items()
    }
    while any(request.answer is None for request in requests):
        env.run(env.now + 60)
    counted = [request for request in requests if request.at >= warm_s]
    served = [request for request in counted if request.answer and request.answer.served]
    latencies = [request.latency_s for request in served]
    by_steps: dict[str, list[float]] = {}
    for request in served:
        if request.answer in (Answer.EDITED, Answer.JOINED):
            by_steps.setdefault(str(request.kind.steps), []).append(request.latency_s)
    ended = [
        request
        for request in requests
        if request.answer and request.answer.served and warm_s <= request.ended < lasts_s
    ]
    answers = [request.answer for request in counted]
    return Result(
        offered_per_s=len(counted) / took_s,
        served_per_s=len(ended) / took_s,
        p50_s=percentile(latencies, 0.5),
        p99_s=percentile(latencies, 0.99),
        p99_by_steps_s={steps: percentile(them, 0.99) for steps, them in sorted(by_steps.items())},
        refused=answers.count(Answer.REFUSED) / len(answers),
        lost=answers.count(Answer.LOST) / len(answers),
        sent_elsewhere=service.sent_elsewhere,
        busy=busy,
        editor_hours=_hours(sizes, lasts_s),
    )


def _requests(run: Run) -> tuple[list[Request], float]:
    """The arrivals, and how long they last."""
    kinds = MIXES[run.mix]
    gpus = run.shape.editors + run.shape.spare_editors
    rate = requests_per_s(gpus, run.mix, run.load)
    longest_s = max(kind.steps * device().step(kind.rows) for kind in kinds)
    lasts_s = run.lasts_s or max(_LEAST_S, _LEAST_REQUESTS / rate, _LEAST_EDITS_LONG * longest_s)
    if run.later is None:
        return list(arrivals(run.seed, rate, lasts_s, kinds, REPEATS)), lasts_s
    first = list(arrivals(run.seed, rate, lasts_s / 2, kinds, REPEATS))
    rate = requests_per_s(gpus, run.mix, run.later)
    second = list(arrivals(run.seed + 1, rate, lasts_s / 2, kinds, REPEATS))
    for request in second:
        request.at += lasts_s / 2
        request.key = request.subject = request.key + len(first)  # nobody has sent it before
    return first + second, lasts_s


def _worked(service: Service) -> dict[str, tuple[float, int]]:
    """Core seconds so far and number of replicas, by part."""
    worked = {name: (part.worked_s, len(part.replicas)) for name, part in service.parts.items()}
    editors = service.editors
    return worked | {"devices": (sum(editor.busy_s for editor in editors), len(editors))}


def _hours(sizes: Sequence[tuple[float, int]], until_s: float) -> float:
    """Editor hours of sizes that each hold until the next."""
    ends = [at for at, _ in sizes[1:]] + [until_s]
    return (
        sum(
            max(0.0, min(end, until_s) - at) * size
            for (at, size), end in zip(sizes, ends, strict=True)
        )
        / 3600
    )
