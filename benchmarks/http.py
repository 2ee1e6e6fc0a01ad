"""The served graph against the same parts in one process: `python -m benchmarks.http`."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from benchmarks.access_log import read_calls
from benchmarks.client import Call, Client, form, load
from benchmarks.interleave import interleaved, summary
from benchmarks.memory import measure_memory
from benchmarks.photos import jpeg
from benchmarks.report import REPOSITORY, Figure, Target, publish, wide_console
from benchmarks.serving import Served, editor_threads, served
from benchmarks.spans import EDITOR, Timed, span_table, stages
from serve_app.serve_config import check

CONFIG = REPOSITORY / "configs" / "local.yaml"
STARTS = 3
SIDE = 256
STEPS = 4
PROMPT = "make it a watercolour"
EDITS = 50
WARM = 3
HITS = 150
CLIENTS = 8
LOAD_ROUNDS = 3
LOAD_SECONDS = 4.0
SETTLE_S = 5.0
HEALTH = Call("GET", "/health")
REQUEST_PREFIX = "bench-edit-"


def main() -> None:
    console = wide_console()
    figures: list[Figure] = []
    details: dict[str, Any] = {"config": str(CONFIG.relative_to(REPOSITORY)), "args": _args()}
    starts = []
    for number in range(1, STARTS):
        console.print(f"Start {number} of {STARTS} …")
        with served(CONFIG, _args()) as service:
            starts.append(service.ready_s)
    console.print(f"Start {STARTS} of {STARTS}, kept for all that follows …")
    with served(CONFIG, _args()) as service:
        starts.append(service.ready_s)
        _starts(starts, figures, details)
        time.sleep(SETTLE_S)
        # Memory comes before the in-process side: pages of libraries that this process maps
        # too would be divided by one process more.
        measure_memory(console, service.session, "idle, before the first request", figures, details)
        _hits(console, service, figures, details)
        time.sleep(SETTLE_S)
        measure_memory(console, service.session, "idle again, after the load", figures, details)
        _edits(console, service, figures, details)
    publish(console, "http", figures, details)


def _args() -> dict[str, dict[str, Any]]:
    """Give both sides the same threads, or the comparison would be one of threads."""
    return {"engine": {"threads": editor_threads(check(CONFIG)[0])}}


def _starts(starts: Sequence[float], figures: list[Figure], details: dict[str, Any]) -> None:
    details["starts_s"] = list(starts)
    figures.append(
        Figure(
            "from `serve run` to a warm editor",
            statistics.median(starts),
            "s",
            Target(40),
            f"{STARTS} starts, {min(starts):.1f} to {max(starts):.1f} s, empty storage",
        )
    )


# Edits ------------------------------------------------------------------------------------


def _edits(
    console: Console, service: Served, figures: list[Figure], details: dict[str, Any]
) -> None:
    """The same edits over HTTP and in process, in turns; each photo and seed is new."""
    # As Ray has it in the replica. OpenMP reads this when torch is imported, which is why
    # that happens here; `torch.set_num_threads` alone does not reach every thread's pools.
    os.environ["OMP_NUM_THREADS"] = str(service.config.engine.threads)
    from benchmarks.in_process import InProcess

    console.print(f"{EDITS} edits over HTTP and in process …")
    over_http: dict[int, tuple[float, dict[str, Any]]] = {}
    own: dict[int, Timed] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner() as runner,
        closing(Client(service.port)) as client,
        closing(InProcess(service.config, Path(folder))) as parts,
    ):

        def ask(number: int) -> float:
            seconds, body = client.timed(_edit_call(number), f"{REQUEST_PREFIX}{number}")
            over_http[number] = seconds, json.loads(body)["data"][0]
            return seconds

        def run(number: int) -> float:
            data = jpeg(number, SIDE)
            started = time.perf_counter()
            result = runner.run(parts.edit(data, PROMPT, STEPS, number))
            seconds = time.perf_counter() - started
            own[number] = Timed(
                result.metadata, seconds, seconds, parts.router.seconds, parts.editor.seconds
            )
            pictures[number] = result.png
            return seconds

        pictures: dict[int, bytes] = {}
        for number in range(EDITS, EDITS + WARM):
            ask(number), run(number)
        seconds = interleaved({"http": ask, "in_process": run}, EDITS)
        records = {
            number: json.loads(client.send(Call("GET", f"/v1/results/{answer['id']}/metadata")))
            for number, (_, answer) in over_http.items()
        }
    calls = read_calls(service.serve_logs, REQUEST_PREFIX)
    served_edits, own_edits = [], []
    for number in range(EDITS):
        total, answer = over_http[number]
        _require_equal(base64.b64decode(answer["b64_json"]), pictures[number])
        took = calls[f"{REQUEST_PREFIX}{number}"]
        served_edits.append(
            Timed(records[number], total, took["Ingress"], took["Router.run"], took["Editor.edit"])
        )
        own_edits.append(own[number])
    details["edit"] = {name: summary(each) for name, each in seconds.items()}
    details["stages_ms"] = {"http": stages(served_edits), "in_process": stages(own_edits)}
    details["replicas_ms"] = {
        name: statistics.median(calls[f"{REQUEST_PREFIX}{n}"][name] for n in range(EDITS)) * 1e3
        for name in sorted(calls[f"{REQUEST_PREFIX}0"])
    }
    _edit_figures(seconds, figures)
    details["spans"] = spans = span_table(console, served_edits, own_edits)
    hops_ms = sum(row["added_ms"] for row in spans if row["span"] != EDITOR)
    figures.append(
        Figure(
            "of that outside the editor: every hop, the proxy, sharing the cores",
            hops_ms,
            "ms",
            Target(100),
            "sum of the spans' medians; the editor's own time only adds noise",
        )
    )


def _edit_call(number: int) -> Call:
    fields = {
        "prompt": PROMPT,
        "num_inference_steps": STEPS,
        "seed": number,
        "max_attempts": 1,
    }
    return form("/v1/images/edits", jpeg(number, SIDE), fields)


def _require_equal(http: bytes, in_process: bytes) -> None:
    ours, theirs = (
        np.asarray(Image.open(io.BytesIO(png)), dtype=int) for png in (http, in_process)
    )
    if np.abs(ours - theirs).max() > 1:
        raise RuntimeError("HTTP and in-process edits made different pictures.")


def _edit_figures(seconds: Mapping[str, Sequence[float]], figures: list[Figure]) -> None:
    http, own = (statistics.median(seconds[name]) * 1e3 for name in ("http", "in_process"))
    figures += [
        Figure(f"edit in process, {SIDE}x{SIDE}, {STEPS} steps, p50", own, "ms"),
        Figure(
            "the same over HTTP, p50", http, "ms", None, f"in process, {http / own:.2f}x its time"
        ),
        Figure(
            "HTTP and Ray add to an edit, p50",
            http - own,
            "ms",
            Target(100),
            f"{EDITS} edits each way, in turns",
        ),
    ]


# Cache hits -------------------------------------------------------------------------------


def _hits(
    console: Console, service: Served, figures: list[Figure], details: dict[str, Any]
) -> None:
    """An edit that is already known, beside ``/health``: the least that HTTP costs here."""
    console.print("Cache hits …")
    hit = _edit_call(2 * EDITS)
    with closing(Client(service.port)) as client:
        client.send(hit)
        answer = json.loads(client.send(hit))["data"][0]
        if answer["cache"] != "hit":
            raise RuntimeError(f"A cache hit was expected, not {answer['cache']!r}.")
        seconds = interleaved(
            {"hit": lambda _: client.timed(hit)[0], "health": lambda _: client.timed(HEALTH)[0]},
            HITS,
        )
    rounds: dict[str, list[Any]] = {"hit": [], "health": []}
    for _ in range(LOAD_ROUNDS):
        rounds["hit"].append(load(service.port, hit, CLIENTS, LOAD_SECONDS))
        rounds["health"].append(load(service.port, HEALTH, CLIENTS, LOAD_SECONDS))
    rates = {
        name: statistics.median(each.requests_per_s for each in loads)
        for name, loads in rounds.items()
    }
    details["hit"] = {name: summary(each) for name, each in seconds.items()}
    details["load"] = {
        name: [
            {"requests_per_s": one.requests_per_s, "p50_s": one.p50_s, "p99_s": one.p99_s}
            for one in loads
        ]
        for name, loads in rounds.items()
    }
    health_ms = statistics.median(seconds["health"]) * 1e3
    figures += [
        Figure(
            "cache hit over HTTP, p50",
            statistics.median(seconds["hit"]) * 1e3,
            "ms",
            Target(30),
            f"GET /health, {health_ms:.1f} ms",
        ),
        Figure(
            f"cache hits with {CLIENTS} clients",
            rates["hit"],
            "requests/s",
            Target(100, at_most=False),
            f"GET /health, {rates['health']:.0f} requests/s",
        ),
    ]


if __name__ == "__main__":
    main()
