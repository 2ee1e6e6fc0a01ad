"""The batching curve: what a row more costs, by canvas, prompts equally long and not."""

from __future__ import annotations

import statistics

from benchmarks.gpu.bench import Bench, Part, step_row
from benchmarks.gpu.steps import STEPS, timed_steps
from benchmarks.gpu.workload import Edit, random_state

BATCHES = (1, 2, 4, 8)


def curve(bench: Bench, part: Part) -> None:
    """Without guidance, so that a batch of n has n rows; each with one reference."""
    chosen, pipeline = bench.acceleration(), bench.pipeline(encoders=False)
    for side in bench.size.curve_sides:
        edit = Edit(side, STEPS)
        alone_s = 0.0
        for batch, mixed in _batches():
            name = f"{side}x{side}, batch {batch}, {chosen.name}" + ", mixed" * mixed
            # Mixed prompts are each three tokens shorter than the one before.
            longest = bench.size.text_lengths[0]
            lengths = tuple(longest - (3 * row if mixed else 0) for row in range(batch))

            def measure(edit: Edit = edit, lengths: tuple[int, ...] = lengths) -> float:
                states = [
                    random_state(pipeline, edit, (length, 1), seed)
                    for seed, length in enumerate(lengths)
                ]
                return timed_steps(bench, chosen, states)

            with part.row(name):
                estimate = alone_s * batch * STEPS
                seconds = bench.measured(measure, bench.options.repeats + 1, estimate)
                median = statistics.median(seconds)
                alone_s = alone_s or median
                details = {
                    "side": side,
                    "batch": batch,
                    "mixed_lengths": mixed,
                    "seconds_per_step_and_request": median / batch,
                }
                row = step_row(name, seconds, bench.floor_s(side, lengths), details=details)
                row.times_as_fast, row.against = alone_s * batch / median, "batch 1"
                row.note = "prompts of mixed length, masked" if mixed else ""
                part.add(row)


def _batches() -> list[tuple[int, bool]]:
    """Each batch with equal prompts (no mask), those of several also with mixed ones."""
    return [
        (batch, mixed) for batch in BATCHES for mixed in (False, True) if batch > 1 or not mixed
    ]
