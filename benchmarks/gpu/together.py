"""Several edits at once through the engine's own threads, against stock, one after the other.

The one part that runs the whole engine: its encoders, device loop, policy and decoder beside
each other on streams of their own. It also needs pydantic, cachetools and peft.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gpu.acceleration import Acceleration
from benchmarks.gpu.bench import Bench, Part, Unavailable
from benchmarks.gpu.end_to_end import latents_difference
from benchmarks.gpu.record import Row
from benchmarks.gpu.sides import Stock
from benchmarks.gpu.workload import PROMPT, Edit, picture
from serve_app.engine.state import CanvasStep, CanvasTask, Ticket

if TYPE_CHECKING:
    from serve_app.engine.device_loop import DeviceLoop

STEPS = 8


@dataclass(frozen=True)
class _Served:
    """Edits that arrived together: seconds until each was done, and what came out."""

    seconds: list[float]
    results: list[Any]
    shared: float
    """Requests that shared a step, on average over the steps of all."""


def together(bench: Bench, part: Part) -> None:
    """Edits without guidance: stock in turn, ours all at once, ours again with half cancelled."""
    pipeline, way = bench.pipeline(encoders=True), bench.acceleration()
    with part.row("the engine"):
        loop = _device_loop(bench, pipeline)
        try:
            for side, number in bench.size.together:
                _compare(bench, part, pipeline, loop, way, Edit(side, STEPS), number)
        finally:
            loop.close()


def _compare(
    bench: Bench,
    part: Part,
    pipeline: Any,
    loop: DeviceLoop,
    way: Acceleration,
    edit: Edit,
    number: int,
) -> None:
    # Prompts of different length, as they come.
    edits = [
        replace(edit, seed=turn, prompt=PROMPT[: len(PROMPT) - 3 * turn]) for turn in range(number)
    ]
    tasks = [_task(bench, pipeline, one) for one in edits]
    image, stock = picture(edit.side), Stock(pipeline, bench.size, bench.device)
    floor_s = edit.steps * bench.floor_s(edit.side, bench.size.text_lengths[:1])
    what = f"{number} edits at once, {edit.name}"
    bench.deadline.require(0.0)
    stock.edit(edit, image)  # warms up
    edited = [stock.edit(one, image) for one in edits]
    arrivals = list(accumulate(one.seconds for one in edited))
    bench.deadline.require(2 * arrivals[-1])
    with way.applied():
        _serve(bench, loop, tasks)  # warms up, and teaches the policy what a step costs
        alone = _serve(bench, loop, tasks[:1])
        served = _serve(bench, loop, tasks)
        staying = _serve(bench, loop, tasks, leaving=number // 2)
    apart = [
        latents_difference(made.latents, theirs.latents, "ours")["relative"]
        for made, theirs in zip(served.results, edited, strict=True)
    ]
    company = latents_difference(
        alone.results[0].latents, served.results[0].latents, "ours, alone,"
    )
    latency_s, stock_latency_s = statistics.mean(served.seconds), statistics.mean(arrivals)
    part.add(
        Row(
            f"{what}: stock, one after the other",
            arrivals[-1] / number,
            "edit",
            share_of_floor=floor_s * number / arrivals[-1],
            details={"seconds": [one.seconds for one in edited]},
        )
    )
    part.add(
        Row(
            f"{what}: ours, {way.name}",
            max(served.seconds) / number,
            "edit",
            times_as_fast=arrivals[-1] / max(served.seconds),
            against="stock",
            share_of_floor=floor_s * number / max(served.seconds),
            note=f"{served.shared:.1f} shared a step; mean time to the result "
            f"{latency_s:.2f} s, stock {stock_latency_s:.2f} s",
            details={
                "seconds": served.seconds,
                "alone_s": alone.seconds[0],
                "mean_batch": served.shared,
                "mean_latency_s": latency_s,
                "stock_mean_latency_s": stock_latency_s,
                "finite": all(result.finite for result in served.results),
                "latents_relative_difference_from_stock": max(apart),
                "latents_relative_difference_alone": company["relative"],
            },
        )
    )
    part.add(
        Row(
            f"{what}: ours, {way.name}, {number // 2} of them cancelled after their second step",
            max(staying.seconds) / len(staying.seconds),
            "edit",
            details={"seconds": staying.seconds, "pending_after": loop.pending()},
        )
    )


def _serve(
    bench: Bench, loop: DeviceLoop, tasks: Sequence[CanvasTask], leaving: int = 0
) -> _Served:
    """Submit all at once; the first ``leaving`` of them leave after their second step."""
    batches: list[int] = []
    done_at: dict[int, float] = {}

    def ticket(number: int, task: CanvasTask) -> Ticket:
        def listen(event: object) -> None:
            if isinstance(event, CanvasStep):
                batches.append(event.batch_size)
                if number < leaving and event.step == 2:
                    made.future.cancel()

        made = Ticket(task, listen)
        made.future.add_done_callback(lambda _: done_at.setdefault(number, time.perf_counter()))
        return made

    tickets = [ticket(number, task) for number, task in enumerate(tasks)]
    started = bench.device.now()
    for one in tickets:
        loop.submit(one)
    results = [one.future.result(timeout=120.0) for one in tickets[leaving:]]
    bench.device.synchronize()
    seconds = [done_at[number] - started for number in range(leaving, len(tickets))]
    return _Served(seconds, results, statistics.mean(batches))


def _task(bench: Bench, pipeline: Any, edit: Edit) -> CanvasTask:
    """What the engine is given for the edit that ``Stock.edit`` makes."""
    image, side = picture(edit.side), round(bench.size.condition_area**0.5)
    return replace(
        edit.task(),
        references=(np.asarray(image),),
        conditions=(np.asarray(pipeline.image_processor.resize(image, side, side)),),
    )


def _device_loop(bench: Bench, pipeline: Any) -> DeviceLoop:
    """The engine's loop over these models; raises ``Unavailable`` without its packages."""
    try:
        from serve_app.config import AdaptersConfig, EngineConfig
        from serve_app.edits.model import ModelDescription
        from serve_app.engine.adapters import Adapters
        from serve_app.engine.device_loop import DeviceLoop
        from serve_app.engine.load import Checkpoint
    except ImportError as error:
        raise Unavailable(f"the engine needs {error.name}") from error
    dtype = str(bench.size.dtype).removeprefix("torch.")
    device = str(bench.device.torch)
    description = ModelDescription(
        "benchmark", "qwen-image-edit-plus", "random", False, 1, dtype, device
    )
    checkpoint = Checkpoint(
        pipeline,
        plus=True,
        vae_area=bench.size.side**2,
        condition_area=bench.size.condition_area,
        description=description,
        adapters=Adapters(pipeline, AdaptersConfig()),
    )
    # Nothing is remembered between edits, as stock remembers nothing.
    return DeviceLoop(checkpoint, EngineConfig(reuse_bytes=0))
