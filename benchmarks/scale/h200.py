"""An editor's device as `results/gpu.json` has it: one H200, the model at its full size."""

from __future__ import annotations

import json
import statistics
from functools import cache
from typing import Any

import simpy

from benchmarks.report import RESULTS
from benchmarks.scale.costs import Curve, Device, Front
from benchmarks.scale.requests import Kind, Request
from benchmarks.scale.service import Service, Shape
from serve_app.config import EngineConfig

TOKENS = {512: 2048, 1024: 8192}
"""Of a row with one reference, by the side of the picture."""

DRAFT = Kind(4, company="few-step")
"""A Lightning edit: four steps without guidance."""

FINAL = Kind(50, rows=2, company="full")
"""An edit of the full model: fifty steps with guidance, two rows each."""


def device(side: int = 1024) -> Device:
    """Compiled blocks, as `configs/cluster.yaml` has them, for pictures of ``side`` pixels.

    The curve by rows was measured eagerly; it is scaled by what compiling saves at 1024x1024, with
    one row and with two. The text encoder sees pictures of one size, whatever theirs is.
    """
    eager, large = _eager(side), _eager(1024)
    edits = {rows: _compiled_edit(rows) for rows in (1, 2)}
    saved = {rows: edit["seconds_per_step"] / large[rows] for rows, edit in edits.items()}
    step = Curve({rows: seconds * saved[min(rows, 2)] for rows, seconds in eager.items()})
    area = (side / 1024) ** 2
    stages = {rows: edit["stages"] for rows, edit in edits.items()}
    encode = Curve({n: it["text_encode"] + area * it["vae_encode"] for n, it in stages.items()})
    return Device(step, encode, area * stages[1]["decode"], TOKENS[side], beside=True)


def _eager(side: int) -> dict[int, float]:
    """Seconds of a step by rows."""
    return {
        row["details"]["batch"]: row["seconds"]
        for row in _parts()["curve"]["rows"]
        if row["details"]["side"] == side and not row["details"]["mixed_lengths"]
    }


def _compiled_edit(rows: int) -> dict[str, Any]:
    """The details of a compiled edit with one row, or with guidance and two."""
    guidance = "without" if rows == 1 else "with"
    what = f"1024x1024, 4 steps {guidance} guidance: ours, compiled, any shape"
    every = _parts()["end_to_end [compiled]"]["rows"]
    details: dict[str, Any] = next(row["details"] for row in every if row["what"] == what)
    return details


@cache
def _parts() -> dict[str, Any]:
    parts: dict[str, Any] = json.loads((RESULTS / "gpu.json").read_text())["parts"]
    return parts


def bursts() -> dict[str, dict[str, float]]:
    """Edits at once as the GPU had them, beside the same ones simulated: seconds of one editor."""
    compared = {}
    for row in _parts()["together [compiled]"]["rows"]:
        number, side = int(row["what"].split()[0]), int(row["what"].split(", ")[1].split("x")[0])
        if "ours" not in row["what"] or "cancelled" in row["what"]:
            continue
        ended = row["details"]["seconds"]
        requests = [Request(0.0, Kind(8), key, key) for key in range(number)]
        env = simpy.Environment()
        shape = Shape(1, engine=EngineConfig(max_batch_size=8))
        service = Service(env, shape, Front(), device(side))
        env.process(service.open_loop(requests))
        env.run()
        simulated = [request.ended for request in requests]
        compared[f"{number} edits at once, {side}x{side}, 8 steps"] = {
            "measured_mean_s": statistics.mean(ended),
            "simulated_mean_s": statistics.mean(simulated),
            "measured_last_s": max(ended),
            "simulated_last_s": max(simulated),
        }
    return compared


def png_s() -> float:
    """Seconds to write a result of 1024x1024 as PNG, of the full model's pictures."""
    seconds: float = _compiled_edit(1)["stages"]["png"]
    return seconds
