"""What a request costs each part at 1024x1024, on the running nodes: what a plan is made from."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.nodes import Nodes
from benchmarks.scale.calibrating import Keys, idle_cores, without
from benchmarks.scale.choosing import choice_s
from benchmarks.scale.ledger import Spent
from benchmarks.scale.load import Outcome, Wanted, run, upload
from serve_app.images.encoding import OutputFormat, encode

SIDE = 1024
STEPS = 4
EDITS = 40
EDITORS_TO_CHOOSE_FROM = (8, 64, 512)
NEAR_CLIENTS = 8
NEAR_HITS = 300
PNG_REPEATS = 5
FIRST_KEY = 500_000
"""So that no key is one of another part's."""


def measure(nodes: Nodes) -> dict[str, Any]:
    """CPU seconds of each part for an edit and for a request that is answered nearby."""
    nodes.wait_for("Editor", len(nodes.replicas("Editor")))
    keys = Keys(FIRST_KEY)
    idle = idle_cores()
    _edits(nodes, keys, 8)  # warm
    with Spent() as edits:
        outcome = _edits(nodes, keys, EDITS)
    every = {"edit": _each(edits, idle, EDITS)}
    every["edit"]["client"] = outcome.cpu_s / EDITS
    again = [Wanted(0.0, STEPS, FIRST_KEY)] * NEAR_HITS
    run(nodes.port, again[: 4 * NEAR_CLIENTS], SIDE, NEAR_CLIENTS)  # every ingress keeps it now
    with Spent() as near:
        outcome = run(nodes.port, again, SIDE, NEAR_CLIENTS)
    every["near_hit"] = _each(near, idle, NEAR_HITS)
    picture = _picture(nodes)
    return {
        "side": SIDE,
        "cpu_ms": {
            what: {part: 1e3 * seconds for part, seconds in parts.items()}
            for what, parts in every.items()
        },
        "png_cpu_ms": 1e3 * _png_s(picture),
        "png_bytes": len(picture),
        "upload_bytes": len(upload(FIRST_KEY, SIDE)),
        "near_hits_per_s": NEAR_HITS / outcome.took_s,
        "idle_cores": idle,
        "replicas": _replicas(nodes),
        "choice_ms": {str(number): 1e3 * choice_s(number) for number in EDITORS_TO_CHOOSE_FROM},
        "neighbours_cores": max(edits.neighbours, near.neighbours),
    }


def _edits(nodes: Nodes, keys: Keys, number: int) -> Outcome:
    wanted = [Wanted(0.0, STEPS, key) for key in keys.take(number)]
    outcome = run(nodes.port, wanted, SIDE, clients=4)
    if failed := {each.status for each in outcome.answers} - {httpx.codes.OK}:
        raise RuntimeError(f"Edits failed with {failed}")
    return outcome


def _each(spent: Spent, idle: Mapping[str, float], number: int) -> dict[str, float]:
    """CPU seconds of a part for one of ``number`` requests."""
    own = without(spent.by_part, idle, spent.seconds)
    return {part: max(0.0, seconds) / number for part, seconds in sorted(own.items())}


def _picture(nodes: Nodes) -> bytes:
    """A result, as PNG."""
    answered = run(nodes.port, [Wanted(0.0, STEPS, FIRST_KEY)], SIDE, 1).answers[0]
    response = httpx.get(f"{nodes.url}/v1/results/{answered.id}")
    response.raise_for_status()
    return response.content


def _png_s(picture: bytes) -> float:
    """CPU seconds of what a router does to a result's pixels."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    before = time.process_time()
    for _ in range(PNG_REPEATS):
        encode(pixels, OutputFormat.PNG, None)
    return (time.process_time() - before) / PNG_REPEATS


def _replicas(nodes: Nodes) -> int:
    """Of all deployments."""
    names = ("Ingress", "Router", "Cache", "Editor", "Validator", "Jobs", "Monitor")
    return sum(len(nodes.replicas(name)) for name in names)
