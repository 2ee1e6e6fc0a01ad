"""The README's tables of figures, from the results: `python -m benchmarks.readme`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from benchmarks.__main__ import PROGRAMS
from benchmarks.report import RESULTS, shown

SHOWN = tuple(program for program in PROGRAMS if program != "memory_modes")
"""What memory modes do to results is told in `configs/README.md`."""


ON_A_GPU = ("end_to_end [compiled]", "together [compiled]", "lengths")
"""The parts of `results/gpu.json` that the README shows."""


def table(programs: Sequence[str] = SHOWN) -> str:
    """Every figure of ``programs`` that has a target, as a Markdown table."""
    lines = ["| what | measured | target | beside it, in the same run |", "|---|---|---|---|"]
    for program in programs:
        for figure in json.loads((RESULTS / f"{program}.json").read_text())["figures"]:
            if figure["target"] is not None:
                measured = f"{shown(figure['value'])} {figure['unit']}"
                beside = figure["compared_with"] or ""
                lines.append(f"| {figure['what']} | {measured} | {figure['target']} | {beside} |")
    return "\n".join(lines)


def gpu_table(parts: Sequence[str] = ON_A_GPU) -> str:
    """Every row of ``parts`` that was compared with another, as a Markdown table."""
    measured = json.loads((RESULTS / "gpu.json").read_text())["parts"]
    devices = {measured[part]["run"]["device"] for part in parts}
    lines = [f"| on one {' or '.join(sorted(devices))} | seconds | as fast as | of the floor |"]
    lines += ["|---|---|---|---|"]
    for part in parts:
        for row in measured[part]["rows"]:
            if row["times_as_fast"] is not None:
                faster = f"{row['times_as_fast']:.3g} x {row['against']}"
                seconds = f"{row['seconds']:.3g} per {row['per']}"
                floor = f"{row['share_of_floor']:.0%}"
                lines.append(f"| {row['what']} | {seconds} | {faster} | {floor} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(), gpu_table(), sep="\n\n")
