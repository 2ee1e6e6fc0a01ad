"""Bulk runs on the miniature: `python -m benchmarks.bulk`, a quarter of an hour."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq
import typer
from rich.console import Console

from benchmarks.bulk import million
from benchmarks.bulk.command import CONFIG
from benchmarks.bulk.loop import Pace, PlainLoop
from benchmarks.bulk.manifests import good_rows, with_bad_rows, write
from benchmarks.bulk.running import Running, ledger
from benchmarks.report import Figure, Target, publish, wide_console
from serve_app.serve_config import service_settings

LOOP_ROWS = 150
KILLS = 3
FLAT = 1.05
LATE = 200
"""Rows before the end, while there are still some to hand out."""
LOOK_S = 1.0
SAMPLES = 15
"""Looks at the memory that a median is of."""


def main(
    rows: Annotated[
        int, typer.Option(help="Rows of the run that is watched, and of the killed.")
    ] = 2000,
    seed: Annotated[int, typer.Option(help="Of the random moments.")] = 8,
) -> None:
    """Measure, print, and write the results."""
    console = wide_console()
    details: dict[str, Any] = {"rows": rows}
    with tempfile.TemporaryDirectory(prefix="qeb-", dir="/tmp") as name:
        folder = Path(name)
        figures = [
            *_watched(console, folder / "watched", rows, details),
            *_killed(console, folder / "killed", rows, random.Random(seed), details),
            *_million(console, folder / "million", details),
        ]
    publish(console, "bulk", figures, details)


def _watched(console: Console, folder: Path, rows: int, details: dict[str, Any]) -> list[Figure]:
    """One whole run with 1 % bad rows, a plain loop before and after it."""
    listed, codes = with_bad_rows(rows)
    manifest, out = write(folder, listed), folder.with_name("watched-out")
    loops = folder.with_name("loop")
    loops.mkdir()
    console.print(f"{LOOP_ROWS} rows in a plain loop …")
    loading = time.perf_counter()
    loop = PlainLoop(service_settings(CONFIG), folder, loops)
    loaded_s = time.perf_counter() - loading
    loop.run(good_rows(5))  # warm
    before = loop.run(good_rows(LOOP_ROWS))
    console.print(f"{rows} rows in a bulk run …")
    running = Running(manifest, out)
    early, late = _memory(running, rows // 4), _memory(running, rows - LATE)
    whole_s = running.wait()
    after = loop.run(good_rows(LOOP_ROWS))
    lines = ledger(out)
    begun = min(line["ended_at"] - line.get("seconds", 0.0) for line in lines)
    seconds = max(line["ended_at"] for line in lines) - begun
    attempts = sum(line.get("attempts", 0) for line in lines)
    done = sum(line["status"] == "succeeded" for line in lines)
    looped = Pace(2 * LOOP_ROWS, before.attempts + after.attempts, before.seconds + after.seconds)
    details["pace"] = {
        "loop_rows_per_s": looped.rows / looped.seconds,
        "loop_attempts_per_s": looped.attempts / looped.seconds,
        "bulk_rows_per_s": done / seconds,
        "bulk_attempts_per_s": attempts / seconds,
        "bulk_command_s": whole_s,
        "bulk_start_s": begun - running.started,
        "loop_load_s": loaded_s,
    }
    details["memory_mb"] = {
        when: {name: size / 1e6 for name, size in sizes.items()}
        for when, sizes in (("early", early), ("late", late))
    }
    grown = {name: late[name] / early[name] for name in early if name in late}
    total = sum(late[name] for name in grown) / sum(early[name] for name in grown)
    loop_s = loaded_s + done * looped.seconds / looped.rows
    pace = (done / seconds) / (looped.rows / looped.seconds)
    results = {row["id"]: row for row in pq.read_table(out / "results.parquet").to_pylist()}
    wrong = sum(results[name]["error_code"] != code for name, code in codes.items())
    not_done = sum(results[row["id"]]["status"] != "succeeded" for row in listed) - len(codes)
    return [
        Figure(
            "rows per second, bulk run / plain loop",
            pace,
            "x",
            Target(1.1, at_most=False),
            f"{done / seconds:.2f} and {looped.rows / looped.seconds:.2f} rows/s, without start",
        ),
        Figure(
            f"{done} rows from command to end, plain loop / bulk run",
            loop_s / whole_s,
            "x",
            compared_with=f"{loop_s:.0f} s (by its pace) and {whole_s:.0f} s with start and report",
        ),
        Figure(
            "good rows not done, 1 % bad ones among them", not_done, "rows", Target(0),
            f"of {rows - len(codes)}",
        ),
        Figure(
            "bad rows not reported with their reason", wrong, "rows", Target(0),
            f"of {len(codes)}",
        ),
        Figure(
            f"memory at row {rows - LATE} / at row {rows // 4}, driver and actors",
            total,
            "x",
            Target(FLAT),
            f"{sum(early.values()) / 1e9:.2f} GB of {len(grown)} processes",
        ),
        Figure(
            "the same of the driver alone", grown["driver 1"], "x", Target(FLAT),
            f"{early['driver 1'] / 1e6:.0f} MB",
        ),
    ]  # fmt: skip


def _memory(running: Running, at: int) -> dict[str, float]:
    """Bytes (PSS) of each process of the run around its row ``at``: medians of some looks."""
    while running.alive and running.ended_rows < at:
        time.sleep(LOOK_S / 4)
    looks: dict[str, list[float]] = {}
    for _ in range(SAMPLES):
        for name, process in running.memory().items():
            looks.setdefault(name, []).append(process.pss)
        time.sleep(LOOK_S)
        if running.progress.get("phase") != "editing":
            break
    return {name: statistics.median(sizes) for name, sizes in looks.items()}


def _killed(
    console: Console, folder: Path, rows: int, moments: random.Random, details: dict[str, Any]
) -> list[Figure]:
    manifest, out = write(folder, good_rows(rows)), folder.with_name("killed-out")
    cuts = sorted(moments.sample(range(rows // 20, rows - rows // 20), KILLS))
    at_editors = []
    for cut in cuts:
        console.print(f"{rows} rows, killed at row {cut} …")
        running = Running(manifest, out)
        before = len(ledger(out)) if out.exists() else 0
        while running.alive and before + running.ended_rows < cut:
            time.sleep(moments.uniform(0, 0.2))
        at_editors.append(running.kill())
    console.print("… and resumed to its end")
    Running(manifest, out).wait()
    lines = Counter(line["row"] for line in ledger(out))
    results = pq.read_table(out / "results.parquet")
    images = len(list((out / "images").rglob("*.png")))
    settings = service_settings(CONFIG)
    most = settings.bulk.editors.number * settings.engine.max_batch_size
    details["killed_at"] = cuts
    beside = f"{results.num_rows} results, {images} images, {KILLS} kills with SIGKILL"
    succeeded = results["status"].to_pylist().count("succeeded")
    return [
        Figure(
            f"rows lost of {rows}, killed {KILLS} times",
            rows - succeeded, "rows", Target(0), beside,
        ),
        Figure(
            "rows with two results",
            sum(count > 1 for count in lines.values()) + max(0, images - rows),
            "rows", Target(0), beside,
        ),
        Figure(
            "edits done again after a kill: rows at editors then, at most",
            max(at_editors), "edits", Target(most),
            f"editors x batch {most}; {', '.join(map(str, at_editors))} at the kills",
        ),
    ]  # fmt: skip


def _million(console: Console, folder: Path, details: dict[str, Any]) -> list[Figure]:
    console.print("A million rows …")
    manifest, begun_s = million.begin(folder)
    out = folder / "out"
    million.finish(out)
    written_s = million.resume(manifest, out)
    again_s = million.resume(manifest, out)
    details["million"] = {"results": million.results(out), "nothing_left_s": again_s}
    beside = f"{million.ROWS:,} rows, JSON lines, 2 cores"
    return [
        Figure(
            "a million rows: from command to first edit", begun_s, "s", Target(60), beside
        ),
        Figure(
            "a million rows, all ended (made up): resumed, results and report written",
            written_s, "s", Target(60), f"{again_s:.0f} s once they are written",
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
