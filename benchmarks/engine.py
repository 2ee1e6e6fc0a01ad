"""The engine against the stock pipeline, and what a batch gains: `python -m benchmarks.engine`."""

from __future__ import annotations

import asyncio
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.interleave import Measurement, interleaved, median_ratio, summary
from benchmarks.photos import photo
from benchmarks.report import REPOSITORY, Figure, Target, publish, wide_console
from serve_app.config import EngineConfig, ModelConfig
from serve_app.edits.job import EditJob
from serve_app.engine.canvas import Layout
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint, load_checkpoint
from serve_app.engine.state import CanvasResult, CanvasStep, CanvasTask, Ticket
from serve_app.images.pixels import RGB
from serve_app.serve_config import check
from tests.engine.stock import call_stock

SIDE = 128
STEPS = (4, 20)
ONE_REPEATS = 15
MIXED_REPEATS = 11
MIXED = (
    # prompt, steps, guidance scale
    ("make it a watercolour", 4, 4.0),
    ("把招牌上的字改成“营业中”", 7, 3.5),
    ("remove the helmet from her hands and put a bunch of sunflowers there instead", 5, 4.5),
    ("x", 8, 2.5),
    ("하늘을 노을로 바꾸고 나무를 추가해 주세요", 6, 4.0),
    ("change the sign to OPEN", 8, 1.0),
    ("turn it into a pencil drawing with deep shadows, in the manner of an old master", 5, 6.0),
    ("let it snow", 7, 3.0),
)
CURVE_SIDES = (64, 128, 256)
CURVE_BATCHES = (1, 2, 4, 8)
CURVE_STEPS = 4
CURVE_REPEATS = 5


def main() -> None:
    console = wide_console()
    with tempfile.TemporaryDirectory() as folder:
        model = check(REPOSITORY / "configs" / "local.yaml")[0].model
        checkpoint = load_checkpoint(model.model_copy(update={"device": "cpu"}), Path(folder))
    figures: list[Figure] = []
    details: dict[str, Any] = {"model": _settings(model), "torch_threads": torch.get_num_threads()}
    console.print("One request, end to end, against the stock pipeline …")
    _one_request(checkpoint, figures, details)
    console.print("Eight mixed requests together against the stock pipeline one by one …")
    _mixed(checkpoint, figures, details)
    console.print("Step cost by canvas and batch …")
    _curve(checkpoint, figures, details)
    publish(console, "engine", figures, details)


def _settings(model: ModelConfig) -> dict[str, Any]:
    return model.model_dump(include={"checkpoint", "vae_area", "condition_area"})


# One request ------------------------------------------------------------------------------


def _one_request(checkpoint: Checkpoint, figures: list[Figure], details: dict[str, Any]) -> None:
    """``Engine.edit`` against ``pipeline(...)``: from the photo's pixels to the result's."""
    engine = Engine(checkpoint, EngineConfig())
    try:
        with asyncio.Runner() as runner:
            for steps in STEPS:
                _one_request_of(checkpoint, engine, runner, steps, figures, details)
    finally:
        engine.close()


def _one_request_of(
    checkpoint: Checkpoint,
    engine: Engine,
    runner: asyncio.Runner,
    steps: int,
    figures: list[Figure],
    details: dict[str, Any],
) -> None:
    job = _job(0, "make it a watercolour", steps, 4.0)
    task = Layout.of(job, checkpoint).task(job)
    made: dict[str, RGB] = {}

    def ours(_: int) -> float:
        started = time.perf_counter()
        made["ours"] = runner.run(engine.edit(job)).pixels
        return time.perf_counter() - started

    def stock(_: int) -> float:
        started = time.perf_counter()
        pixels = call_stock(checkpoint, task, "np")
        made["stock"] = (pixels[0] * 255).round().astype(np.uint8)
        return time.perf_counter() - started

    ours(0), stock(0)  # warm
    _require_equal(made["ours"], made["stock"])
    seconds = interleaved({"engine": ours, "stock": stock}, ONE_REPEATS)
    details[f"one_request_{steps}_steps"] = {name: summary(s) for name, s in seconds.items()}
    figures.append(
        Figure(
            f"one request, {SIDE}x{SIDE}, {steps} steps: engine / stock",
            median_ratio(seconds["engine"], seconds["stock"]),
            "x time",
            Target(1.05),
            f"stock pipeline, {statistics.median(seconds['stock']) * 1e3:.0f} ms",
        )
    )


def _require_equal(ours: RGB, stock: RGB) -> None:
    """A speed is worth nothing if the picture is another one."""
    if np.abs(ours.astype(int) - stock.astype(int)).max() > 1:
        raise RuntimeError("The engine and the stock pipeline made different pictures.")


# Eight mixed requests ---------------------------------------------------------------------


def _mixed(checkpoint: Checkpoint, figures: list[Figure], details: dict[str, Any]) -> None:
    """Denoising alone, on both sides: no text encoder, no VAE."""
    tasks = [
        _task(checkpoint, _job(seed, prompt, steps, scale))
        for seed, (prompt, steps, scale) in enumerate(MIXED)
    ]
    loop = DeviceLoop(checkpoint, len(tasks))
    latents: dict[str, list[torch.Tensor]] = {}

    def together(_: int) -> float:
        seconds, results = denoise_together(loop, tasks)
        latents["engine"] = [result.latents for result in results]
        return seconds

    def alone(_: int) -> float:
        return sum(denoise_together(loop, [task])[0] for task in tasks)

    def stock(_: int) -> float:
        timed = [denoise_stock(checkpoint, task) for task in tasks]
        latents["stock"] = [each for _, each in timed]
        return sum(seconds for seconds, _ in timed)

    try:
        together(0), stock(0), alone(0)  # warm
        for ours, theirs in zip(latents["engine"], latents["stock"], strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
        seconds = interleaved({"together": together, "stock": stock, "alone": alone}, MIXED_REPEATS)
    finally:
        loop.close()
    details["eight_mixed_denoising"] = {name: summary(s) for name, s in seconds.items()}
    figures += [
        Figure(
            f"eight mixed requests, {SIDE}x{SIDE}, denoising: together / stock",
            median_ratio(seconds["stock"], seconds["together"]),
            "x faster",
            Target(1.1, at_most=False),
            f"stock one by one, {statistics.median(seconds['stock']) * 1e3:.0f} ms",
        ),
        Figure(
            "the same: together / this engine one by one",
            median_ratio(seconds["alone"], seconds["together"]),
            "x faster",
            None,
            f"engine one by one, {statistics.median(seconds['alone']) * 1e3:.0f} ms",
        ),
    ]


def denoise_together(loop: DeviceLoop, tasks: list[CanvasTask]) -> tuple[float, list[CanvasResult]]:
    """Run ``tasks`` through the device thread; return the seconds its steps took, and results.

    The engine charges every request with the duration of each step it took part in. All
    start together here, so the request with most steps was in every one and holds the sum.
    """
    shared: list[int] = []
    tickets = [
        Ticket(task, (lambda step: shared.append(_first_batch(step))) if i == 0 else None)
        for i, task in enumerate(tasks)
    ]
    for ticket in tickets:
        loop.submit(ticket)
    results = [ticket.future.result() for ticket in tickets]
    if max(shared) != len(tasks):
        raise RuntimeError("The requests did not start in one batch, so the sum is not theirs.")
    return max(result.seconds["denoise"] for result in results), results


def _first_batch(step: CanvasStep) -> int:
    return step.batch_size if step.step == 1 else 0


def denoise_stock(checkpoint: Checkpoint, task: CanvasTask) -> tuple[float, torch.Tensor]:
    """Time the stock pipeline from its first transformer call to the end of its last step."""
    marks: list[float] = []

    def first_forward(*_: Any) -> None:
        if not marks:
            marks.append(time.perf_counter())

    hook = checkpoint.pipeline.transformer.register_forward_pre_hook(first_forward)
    try:
        latents = call_stock(checkpoint, task, "latent", lambda: marks.append(time.perf_counter()))
    finally:
        hook.remove()
    return marks[-1] - marks[0], latents


# The curve --------------------------------------------------------------------------------


def _curve(checkpoint: Checkpoint, figures: list[Figure], details: dict[str, Any]) -> None:
    """Seconds of a step by canvas and number of equal requests that share it."""
    curve: list[dict[str, float]] = []
    for side in CURVE_SIDES:
        by_batch = _steps_of(dataclasses.replace(checkpoint, vae_area=side * side), side)
        alone = by_batch[1]
        for batch, seconds in by_batch.items():
            per_step = statistics.median(seconds)
            gain = median_ratio(alone, seconds) * batch
            curve.append(
                {
                    "side": side,
                    "batch": batch,
                    "seconds_per_step": per_step,
                    "seconds_per_step_and_request": per_step / batch,
                    "speedup_over_batch_1": gain,
                }
            )
            figures.append(
                Figure(
                    f"step at {side}x{side}, batch {batch}",
                    per_step * 1e3,
                    "ms",
                    None,
                    f"{per_step / batch * 1e3:.1f} ms per request, {gain:.2f}x batch 1",
                )
            )
    details["curve"] = curve


def _steps_of(checkpoint: Checkpoint, side: int) -> dict[int, list[float]]:
    loop = DeviceLoop(checkpoint, max(CURVE_BATCHES))

    def of(batch: int) -> Measurement:
        tasks = [
            _task(checkpoint, _job(seed, "make it a watercolour", CURVE_STEPS, 4.0, side))
            for seed in range(batch)
        ]
        return lambda _: denoise_together(loop, tasks)[0] / CURVE_STEPS

    ways = {str(batch): of(batch) for batch in CURVE_BATCHES}
    try:
        for measure in ways.values():
            measure(0)  # warm
        seconds = interleaved(ways, CURVE_REPEATS)
    finally:
        loop.close()
    return {int(batch): each for batch, each in seconds.items()}


def _job(seed: int, prompt: str, steps: int, scale: float, side: int = SIDE) -> EditJob:
    return EditJob((photo(seed, side),), prompt, " ", scale, steps, seed)


def _task(checkpoint: Checkpoint, job: EditJob) -> CanvasTask:
    return Layout.of(job, checkpoint).task(job)


if __name__ == "__main__":
    main()
