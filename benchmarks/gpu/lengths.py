"""What prompts of several lengths cost in one step: attention row by row, or with a mask."""

from __future__ import annotations

import statistics

from benchmarks.gpu.bench import Bench, Part, step_row
from benchmarks.gpu.steps import STEPS, timed_steps
from benchmarks.gpu.workload import Edit, Masked, random_states

BATCHES = (2, 4)


def lengths(bench: Bench, part: Part) -> None:
    """Without guidance; each way is compared with prompts that are equally long."""
    chosen, pipeline = bench.acceleration(), bench.pipeline(encoders=False)
    longest = bench.size.text_lengths[0]
    for side in bench.size.curve_sides:
        edit = Edit(side, STEPS)
        for batch in BATCHES:
            equal = (longest,) * batch
            mixed = tuple(longest - 3 * row for row in range(batch))
            equal_s: float | None = None
            for way, tokens, denoiser in (
                ("equal prompts", equal, chosen.transformer),
                ("prompts of several lengths, attention by row", mixed, chosen.transformer),
                ("prompts of several lengths, masked", mixed, Masked(chosen.transformer)),
            ):
                name = f"{side}x{side}, batch {batch}, {chosen.name}: {way}"

                def measure(
                    edit: Edit = edit,
                    tokens: tuple[int, ...] = tokens,
                    denoiser: object = denoiser,
                ) -> float:
                    states = random_states(pipeline, edit, tokens)
                    return timed_steps(bench, chosen, states, denoiser=denoiser)

                with part.row(name):
                    seconds = bench.measured(measure, bench.options.repeats)
                    median = statistics.median(seconds)
                    row = step_row(name, seconds, bench.floor_s(side, tokens))
                    if equal_s is not None:
                        row.times_as_fast, row.against = equal_s / median, "equal prompts"
                    equal_s = equal_s or median
                    part.add(row)
