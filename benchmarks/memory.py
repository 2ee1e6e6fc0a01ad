"""The memory of the served graph, process by process, Ray's own apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.processes import Process, processes_in_session
from benchmarks.report import Figure, Target


def measure_memory(
    console: Console,
    session: int,
    when: str,
    figures: list[Figure],
    details: dict[str, Any],
) -> None:
    """Print what every process of the served graph holds; add the sum to ``figures``."""
    processes = processes_in_session(session)
    own = [process for process in processes if process.part is not None]
    rays = [process for process in processes if process.part is None]
    table = Table(title=f"memory, {when}, MB", title_justify="left")
    table.add_column("process")
    for heading in ("PSS", "RSS"):
        table.add_column(heading, justify="right")
    rows = [_row(process.part or "", process.title, [process]) for process in own]
    rows.append(_row("service", f"{len(own)} processes", own))
    rows.append(_row("Ray", f"{len(rays)} processes", rays))
    rows.append(_row("all", f"{len(processes)} processes", processes))
    for row in rows:
        table.add_row(
            f"{row['part']}: {row['title']}", f"{row['pss_mb']:.0f}", f"{row['rss_mb']:.0f}"
        )
    console.print(table)
    details.setdefault("memory", {})[when] = {
        "summary": rows,
        "ray": [_row("Ray", process.title, [process]) for process in rays],
    }
    _, ray, every = rows[-3:]
    figures.append(
        Figure(
            f"memory of the graph (PSS), {when}",
            every["pss_mb"] / 1e3,
            "GB",
            Target(3.5),
            f"Ray's own {ray['pss_mb'] / 1e3:.2f} GB; sum of RSS {every['rss_mb'] / 1e3:.2f} GB",
        )
    )


def _row(part: str, title: str, processes: Sequence[Process]) -> dict[str, Any]:
    return {
        "part": part,
        "title": title[:60],
        "pss_mb": sum(process.pss for process in processes) / 1e6,
        "rss_mb": sum(process.rss for process in processes) / 1e6,
    }
