"""What 8, 64 and 512 GPUs do, where they get stuck first, and what should be configured."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from typing import Any

from benchmarks.scale.changes import Scaling
from benchmarks.scale.h200 import bursts
from benchmarks.scale.runs import (
    AGAIN,
    DEATHS,
    LOAD_S,
    MIXED,
    MIXES,
    REPEATS,
    Result,
    Run,
    simulate,
)
from benchmarks.scale.sizing import (
    BUSY,
    NETWORK_BYTES_S,
    RESULT_BYTES,
    Costs,
    config,
    configured,
    first_full,
    gpus_per_network,
    gpus_per_replica,
    recommended,
    replicas,
    router_bytes,
)

SIZES = (8, 64, 512)
LOAD = 0.85
LOADS = (0.5, 0.7, 0.85, 1.0, 1.2)
FEW = 16
"""GPUs where the question is the same for any number."""
MOST_PENDING = (4, 8, 16, 24, 48, 96)
OVERLOAD = 1.3
TARGETS_S = (15.0, 30.0, 60.0, 120.0, 240.0)
ROUTERS_FACTORS = (1, 2, 4, 8)

_PROCESSES = 2


def plan(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Everything in the results' part ``plan``; the same costs give the same plan."""
    costs = Costs.of(measured)
    questions = {
        "sizes": _sizes(costs),
        "loads": _loads(costs),
        "routers": _routers(costs),
        "max_pending": _pending(costs),
        "target_work_s": _targets(costs),
    }
    runs = [run for question in questions.values() for run in question.values()]
    # Not forked: this process may have Ray's threads.
    with ProcessPoolExecutor(_PROCESSES, get_context("spawn")) as processes:
        results = iter(list(processes.map(simulate, runs)))
    answers: dict[str, dict[str, Any]] = {
        name: {what: _told(run, next(results)) for what, run in question.items()}
        for name, question in questions.items()
    }
    return {
        "assumed": {
            "repeats": REPEATS,
            "edited_again": AGAIN,
            "deaths_of_an_editor_per_day": 24 * 3600 / DEATHS.mean_s,
            "start_of_an_editor_s": LOAD_S,
            "busy_at_most": BUSY,
            "network_of_a_node_bytes_per_s": NETWORK_BYTES_S,
            "png_of_a_result_bytes": RESULT_BYTES,
        },
        "core_ms": {name: 1e3 * seconds for name, seconds in asdict(costs.front).items()},
        "gpus_per_replica": {mix: gpus_per_replica(costs, mix, BUSY) for mix in MIXES},
        "first_full": {mix: first_full(costs, mix) for mix in MIXES},
        "router_bytes_per_edit": router_bytes(),
        "gpus_per_network": {mix: gpus_per_network(mix) for mix in MIXES},
        "controller_cores": {
            str(gpus): costs.controller_cores * replicas(recommended(costs, gpus, "4 steps"))
            for gpus in SIZES
        },
        "burst_on_one_gpu": bursts(),
        **answers,
    }


def _told(run: Run, result: Result) -> dict[str, Any]:
    shape = {
        name: number
        for name, number in asdict(run.shape).items()
        if name in ("editors", "proxies", "ingresses", "routers", "shards", "validators")
    }
    return {"load": run.load, "mix": run.mix, "shape": shape, **asdict(result)}


def _sizes(costs: Costs) -> dict[str, Run]:
    """Each size and mix, with the front that is recommended."""
    return {
        f"{gpus} GPUs, {mix}": Run(
            recommended(costs, gpus, mix), costs.with_editors(gpus), mix, LOAD
        )
        for gpus in SIZES
        for mix in MIXES
    }


def _loads(costs: Costs) -> dict[str, Run]:
    """Drafts, of which the most requests come, at several loads and with both fronts."""
    return {
        f"{gpus} GPUs, load {load:g}, {name}": Run(shape, costs.with_editors(gpus), "4 steps", load)
        for gpus in SIZES
        for name, shape in (
            ("configs/cluster.yaml", configured(gpus)),
            ("recommended", recommended(costs, gpus, "4 steps")),
        )
        for load in LOADS
    }


def _routers(costs: Costs) -> dict[str, Run]:
    """More routers than are needed: each knows of its own calls alone."""
    shape = recommended(costs, 64, "4 steps")
    runs = {
        f"{factor * shape.routers} routers": Run(
            replace(shape, routers=factor * shape.routers),
            costs.with_editors(64),
            "4 steps",
            LOAD,
        )
        for factor in ROUTERS_FACTORS
    }
    free = replace(costs.with_editors(64), router_s=0.0, png_s=0.0)
    runs["1 router that costs nothing"] = Run(replace(shape, routers=1), free, "4 steps", LOAD)
    return runs


def _pending(costs: Costs) -> dict[str, Run]:
    """How many edits an editor takes in, when more come than it can do."""
    runs = {}
    for most in MOST_PENDING:
        shape = recommended(costs, FEW, MIXED)
        engine = shape.engine.model_copy(update={"max_pending": most})
        runs[str(most)] = Run(
            replace(shape, engine=engine), costs.with_editors(FEW), MIXED, OVERLOAD, lasts_s=1200
        )
    return runs


def _targets(costs: Costs) -> dict[str, Run]:
    """The load triples in the middle: how soon there are more editors, and at what price."""
    sizes = config().deployments.editor
    shape = replace(recommended(costs, FEW, MIXED), editors=FEW // 4, spare_editors=FEW * 3 // 4)
    return {
        f"{target_s:g}": Run(
            shape,
            costs.with_editors(FEW),
            MIXED,
            0.2,
            later=0.6,
            lasts_s=3600,
            deaths=None,
            scaling=Scaling(
                target_s, 2, FEW, sizes.upscale_delay_s, sizes.downscale_delay_s, LOAD_S
            ),
        )
        for target_s in TARGETS_S
    }
