"""Seconds of a step: ours and stock, and the two ways to run a guided step."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.gpu.acceleration import Acceleration
from benchmarks.gpu.bench import Bench, Part, step_row
from benchmarks.gpu.sides import Stock
from benchmarks.gpu.workload import Edit, denoise, picture, random_state
from serve_app.engine.state import DenoisingState

STEPS = 4
"""Steps that are timed together and divided: the queue to the device stays filled."""


def steps(bench: Bench, part: Part) -> None:
    """Without guidance, then with: two forwards, or one of both rows."""
    chosen, size = bench.acceleration(), bench.size
    unguided = _Steps(bench, part, Edit(size.side, STEPS))
    unguided.stock("one forward")
    unguided.ours(chosen, "one forward")
    guided = _Steps(bench, part, Edit(size.side, STEPS, guided=True))
    guided.stock("two forwards")
    guided.ours(chosen, "one forward")
    guided.ours(chosen, "two forwards", stack_guidance=False)


class _Steps:
    """Rows about the steps of one edit, each compared with the first, which is stock."""

    def __init__(self, bench: Bench, part: Part, edit: Edit) -> None:
        self._bench, self._part, self._edit = bench, part, edit
        self._lengths = bench.size.text_lengths
        self._floor_s = bench.floor_s(edit.side, self._lengths[: 1 + edit.guided])
        self._stock_s: float | None = None
        self._pipeline = bench.pipeline(encoders=False)

    def stock(self, forwards: str) -> None:
        """The pipeline's own loop, from the first forward to the end of the last step."""
        side = Stock(self._pipeline, self._bench.size, self._bench.device)
        image = picture(self._edit.side)
        prompts = random_state(self._pipeline, self._edit, self._lengths)

        def measure() -> float:
            stages = side.denoise(self._edit, image, prompts.positive, prompts.negative)
            return stages["denoise"] / STEPS

        self._add(f"stock, {forwards}", measure)

    def ours(
        self,
        way: Acceleration,
        forwards: str,
        *,
        stack_guidance: bool = True,
    ) -> None:
        """This engine's steps from fresh states; ``forwards`` says it in words."""

        def measure() -> float:
            state = random_state(self._pipeline, self._edit, self._lengths)
            return timed_steps(self._bench, way, [state], stack_guidance=stack_guidance)

        self._add(f"ours, {way.name}, {forwards}", measure)

    def _add(self, name: str, measure: Callable[[], float]) -> None:
        what = f"{'guided' if self._edit.guided else 'unguided'}: {name}"
        with self._part.row(what):
            seconds = self._bench.measured(measure, self._bench.options.repeats + 1)
            median = statistics.median(seconds)
            row = step_row(what, seconds, self._floor_s)
            if name.startswith("stock"):
                self._stock_s = median
            elif self._stock_s is not None:
                row.times_as_fast, row.against = self._stock_s / median, "stock"
            self._part.add(row)


def timed_steps(
    bench: Bench,
    way: Acceleration,
    states: list[DenoisingState],
    *,
    stack_guidance: bool = True,
    denoiser: Any = None,
) -> float:
    """Take all steps of fresh states, with ``way``'s transformer unless another is given.

    Returns the seconds of one step.
    """
    with way.applied():
        started = bench.device.now()
        denoise(denoiser or way.transformer, states, stack_guidance=stack_guidance)
        return (bench.device.now() - started) / len(states[0].timesteps)
