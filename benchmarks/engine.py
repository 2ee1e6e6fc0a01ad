"""The engine against the stock pipeline, and what a batch gains: `python -m benchmarks.engine`."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.apart import Apart
from benchmarks.interleave import Measurement, interleaved, median_ratio, summary
from benchmarks.report import REPOSITORY, Figure, Target, publish, wide_console
from benchmarks.serving import editor_threads
from benchmarks.sides import Edit, EngineSide, StockSide
from benchmarks.tiny import tiny_model
from serve_app.serve_config import check

SIDE = 128
PROMPT = "make it a watercolour"
STEPS = (4, 20)
ONE_REPEATS = 15
MIXED_REPEATS = 9
MIXED = (
    Edit("make it a watercolour", 4, 4.0, 0, SIDE),
    Edit("把招牌上的字改成“营业中”", 7, 3.5, 1, SIDE),
    Edit("remove the helmet and put a bunch of sunflowers there instead", 5, 4.5, 2, SIDE),
    Edit("x", 8, 2.5, 3, SIDE),
    Edit("하늘을 노을로 바꾸고 나무를 추가해 주세요", 6, 4.0, 4, SIDE),
    Edit("change the sign to OPEN", 8, 1.0, 5, SIDE),
    Edit("turn it into a pencil drawing in the manner of an old master", 5, 6.0, 6, SIDE),
    Edit("let it snow", 7, 3.0, 7, SIDE),
)
CURVE_SIDES = (64, 128, 256)
CURVE_BATCHES = (1, 2, 4, 8)
CURVE_STEPS = 4
CURVE_REPEATS = 5


def main() -> None:
    console = wide_console()
    config = check(REPOSITORY / "configs" / "local.yaml")[0]
    threads = editor_threads(config)
    figures: list[Figure] = []
    details: dict[str, Any] = {"torch_threads": threads}
    with tempfile.TemporaryDirectory() as name:
        model = tiny_model(Path(name))
        details["model"] = model.model_dump(include={"name", "vae_area", "condition_area"})
        with (
            Apart(threads, StockSide, model) as stock,
            Apart(threads, EngineSide, model, len(MIXED)) as engine,
        ):
            console.print("One request, end to end, against the stock pipeline …")
            for steps in STEPS:
                _one_request(engine, stock, steps, figures, details)
            console.print("Eight mixed requests together against the stock pipeline …")
            _mixed(engine, stock, figures, details)
            console.print("Step cost by canvas and batch …")
            _curve(engine, figures, details)
            engine.call("close")
    publish(console, "engine", figures, details)


def _one_request(
    engine: Apart, stock: Apart, steps: int, figures: list[Figure], details: dict[str, Any]
) -> None:
    """``Engine.edit`` against ``pipeline(...)``: from the photo's pixels to the result's."""
    edit = Edit(PROMPT, steps, 4.0, 0, SIDE)
    (_, ours), (_, theirs) = engine.call("edit", edit), stock.call("edit", edit)  # warm
    if np.abs(ours.astype(int) - theirs.astype(int)).max() > 1:
        raise RuntimeError("The engine and the stock pipeline made different pictures.")
    seconds = interleaved(
        {
            "engine": lambda _: float(engine.call("edit", edit)[0]),
            "stock": lambda _: float(stock.call("edit", edit)[0]),
        },
        ONE_REPEATS,
    )
    details[f"one_request_{steps}_steps"] = {name: summary(s) for name, s in seconds.items()}
    figures.append(
        Figure(
            f"one request, {SIDE}x{SIDE}, {steps} steps: engine / stock",
            median_ratio(seconds["engine"], seconds["stock"]),
            "x time",
            Target(1.05),
            f"stock pipeline, {_ms(seconds['stock']):.0f} ms",
        )
    )


def _mixed(engine: Apart, stock: Apart, figures: list[Figure], details: dict[str, Any]) -> None:
    """Denoising alone, on both sides: no text encoder, no VAE."""
    (_, ours), (_, theirs) = engine.call("denoise", MIXED), stock.call("denoise", MIXED)  # warm
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own, other, atol=1e-4, rtol=0)
    seconds = interleaved(
        {
            "together": lambda _: float(engine.call("denoise", MIXED)[0]),
            "stock": lambda _: float(stock.call("denoise", MIXED)[0]),
            "alone": lambda _: float(engine.call("denoise_alone", MIXED)),
        },
        MIXED_REPEATS,
    )
    details["eight_mixed_denoising"] = {name: summary(s) for name, s in seconds.items()}
    figures += [
        Figure(
            f"eight mixed requests, {SIDE}x{SIDE}, denoising: together / stock",
            median_ratio(seconds["stock"], seconds["together"]),
            "x faster",
            Target(1.1, at_most=False),
            f"stock one by one, {_ms(seconds['stock']):.0f} ms",
        ),
        Figure(
            "the same: together / this engine one by one",
            median_ratio(seconds["alone"], seconds["together"]),
            "x faster",
            None,
            f"engine one by one, {_ms(seconds['alone']):.0f} ms",
        ),
    ]


def _curve(engine: Apart, figures: list[Figure], details: dict[str, Any]) -> None:
    """Seconds of a step by canvas and number of equal requests that share it."""
    details["curve"] = curve = []
    for side in CURVE_SIDES:
        by_batch = _steps_of(engine, side)
        for batch, seconds in by_batch.items():
            per_step = statistics.median(seconds)
            gain = median_ratio(by_batch[1], seconds) * batch
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


def _steps_of(engine: Apart, side: int) -> dict[int, list[float]]:
    """Seconds per step for each batch size, repeat by repeat."""

    def of(batch: int) -> Measurement:
        edits = [Edit(PROMPT, CURVE_STEPS, 4.0, seed, side) for seed in range(batch)]
        return lambda _: float(engine.call("denoise", edits)[0]) / CURVE_STEPS

    ways = {str(batch): of(batch) for batch in CURVE_BATCHES}
    for measure in ways.values():
        measure(0)  # warm
    seconds = interleaved(ways, CURVE_REPEATS)
    return {int(batch): each for batch, each in seconds.items()}


def _ms(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1e3


if __name__ == "__main__":
    main()
