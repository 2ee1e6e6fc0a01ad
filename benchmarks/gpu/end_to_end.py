"""Whole edits, from the decoded picture to PNG bytes, by this engine and by stock diffusers."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image

from benchmarks.gpu.acceleration import Acceleration
from benchmarks.gpu.bench import Bench, Part
from benchmarks.gpu.record import Row
from benchmarks.gpu.sides import STAGES, Edited, Ours, Stock
from benchmarks.gpu.workload import Edit, picture
from benchmarks.interleave import interleaved

STOCK = "stock"
TARGETS_S = {(50, False): (17.8, 12.0), (4, False): (1.5, None)}
"""On one H200, seconds of our edit by (steps, guided): the target and the stretch."""

TOLERANCE = 1e-4
"""Of float32 latents, whose magnitude is about 5: the same work, summed in another order."""


def end_to_end(bench: Bench, part: Part) -> None:
    """4 and 50 steps without and with guidance; all sides take turns."""
    size, repeats = bench.size, bench.options.repeats
    turns = _Turns(bench)
    step_s = 0.0
    for steps, guided, number in (
        (size.short_steps, False, 2 * repeats + 1),
        (size.short_steps, True, 1),
        (size.long_steps, False, repeats),
        (size.long_steps, True, max(1, repeats - 1)),
    ):
        edit = Edit(size.side, steps, guided)
        with part.row(edit.name):
            bench.deadline.require(len(turns.ways) * number * edit.forwards * step_s)
            if steps == size.short_steps:
                turns.warm(edit)
            seconds, edited = turns.take(edit, number)
            step_s = max(step_s, statistics.median(seconds[STOCK]) / edit.forwards)
            for name in turns.ways:
                part.add(_row(bench, edit, name, seconds, edited))


class _Turns:
    """The sides, and what each made last."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        pipeline = bench.pipeline(encoders=True)
        self._image = picture(bench.size.side)
        ours = Ours(pipeline, bench.size, bench.device, stacked=bench.options.stacked)
        stock = Stock(pipeline, bench.size, bench.device)
        plain, chosen = Acceleration(pipeline.transformer), bench.acceleration()
        self.ways: dict[str, tuple[Acceleration, Callable[[Edit, Image.Image], Edited]]] = {
            STOCK: (plain, stock.edit),
            f"ours, {plain.name}": (plain, ours.edit),
            f"ours, {chosen.name}": (chosen, ours.edit),
        }

    def warm(self, edit: Edit) -> None:
        """Run each side once: kernels are chosen, and compiled, for these shapes."""
        for name in self.ways:
            seconds = self._once(name, edit).seconds
            self._bench.progress(f"warm: {edit.name}, {name}, {seconds:.1f} s")
        self._bench.device.forget_peak()

    def take(
        self, edit: Edit, number: int
    ) -> tuple[dict[str, list[float]], dict[str, list[Edited]]]:
        """Measure ``number`` edits by each side, in turns: seconds and results by side."""
        edited: dict[str, list[Edited]] = {name: [] for name in self.ways}

        def of(name: str) -> Callable[[int], float]:
            def measure(_: int) -> float:
                edited[name].append(self._once(name, edit))
                return edited[name][-1].seconds

            return measure

        return interleaved({name: of(name) for name in self.ways}, number), edited

    def _once(self, name: str, edit: Edit) -> Edited:
        acceleration, run = self.ways[name]
        with acceleration.applied():
            return run(edit, self._image)


def _row(
    bench: Bench,
    edit: Edit,
    name: str,
    seconds: dict[str, list[float]],
    edited: dict[str, list[Edited]],
) -> Row:
    median = statistics.median(seconds[name])
    stages = {
        stage: statistics.median(one.stages[stage] for one in edited[name]) for stage in STAGES
    }
    details: dict[str, Any] = {
        "seconds": seconds[name],
        "stages": stages,
        "between_stages": median - sum(stages.values()),
        "seconds_per_step": stages["denoise"] / edit.steps,
    }
    notes = [", ".join(f"{stage} {value:.3f}" for stage, value in stages.items())]
    if not all(one.finite for one in edited[name]):
        notes.append("NOT FINITE")
    floor = edit.steps * bench.floor_s(edit.side, bench.size.text_lengths[: 1 + edit.guided])
    row = Row(f"{edit.name}: {name}", median, "edit", share_of_floor=floor / stages["denoise"])
    if name != STOCK:
        row.times_as_fast, row.against = statistics.median(seconds[STOCK]) / median, STOCK
        if bench.size.targets:
            row.target_s, details["stretch_s"] = TARGETS_S.get(
                (edit.steps, edit.guided), (None, None)
            )
        difference = latents_difference(edited[name][-1].latents, edited[STOCK][-1].latents, name)
        details["latents_difference_from_stock"] = difference
        notes.append(f"latents differ from stock's by {difference['greatest']:.2g}")
    row.note, row.details = "; ".join(notes), details
    return row


def latents_difference(
    latents: torch.Tensor, reference: torch.Tensor, name: str
) -> dict[str, float]:
    """Tell how far ``latents`` are from the reference's: was it the same work?

    Raises ``RuntimeError`` in float32 if they are not equal but for rounding, NaN included.
    In bfloat16 another order of the same sums grows over the steps, so it is only told.
    """
    apart = (latents.float() - reference.float()).abs()
    figures = {
        "greatest": float(apart.max()),
        "relative": float(torch.linalg.norm(apart) / torch.linalg.norm(reference.float())),
    }
    if latents.dtype == torch.float32 and not figures["greatest"] <= TOLERANCE:
        raise RuntimeError(f"{name} made other latents than {STOCK}: {figures}")
    return figures
