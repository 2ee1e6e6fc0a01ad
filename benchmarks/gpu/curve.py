"""The batching curve: what a row more costs, by canvas, with prompts equally long."""

from __future__ import annotations

import statistics

from benchmarks.gpu.bench import Bench, Part, step_row
from benchmarks.gpu.steps import STEPS, timed_steps
from benchmarks.gpu.workload import Edit, random_states

BATCHES = (1, 2, 4, 8)


def curve(bench: Bench, part: Part) -> None:
    """Without guidance, so that a batch of n has n rows; each with one reference."""
    chosen, pipeline = bench.acceleration(), bench.pipeline(encoders=False)
    for side in bench.size.curve_sides:
        edit = Edit(side, STEPS)
        alone_s = 0.0
        for batch in BATCHES:
            name = f"{side}x{side}, batch {batch}, {chosen.name}"
            lengths = bench.size.text_lengths[:1] * batch

            def measure(edit: Edit = edit, lengths: tuple[int, ...] = lengths) -> float:
                return timed_steps(bench, chosen, random_states(pipeline, edit, lengths))

            with part.row(name):
                estimate = alone_s * batch * STEPS
                seconds = bench.measured(measure, bench.options.repeats + 1, estimate)
                median = statistics.median(seconds)
                alone_s = alone_s or median
                details = {
                    "side": side,
                    "batch": batch,
                    "seconds_per_step_and_request": median / batch,
                }
                row = step_row(name, seconds, bench.floor_s(side, lengths), details=details)
                row.times_as_fast, row.against = alone_s * batch / median, "batch 1"
                part.add(row)
