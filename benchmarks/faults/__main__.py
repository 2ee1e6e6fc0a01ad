"""Faults on three nodes, and what they cost those who wait: `python -m benchmarks.faults`.

Two editors on two nodes answer edits while a third node takes them in. In every part at least 200
edits are sent, and something happens to the service in their midst. What the slowest of them took
is compared with the slowest of as many that were left in peace, and pictures that had to be made
twice with those made in peace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.faults import parts
from benchmarks.faults.doomed import doomed_editors
from benchmarks.faults.load import Sent, largest_difference
from benchmarks.nodes import Nodes, nodes
from benchmarks.report import Figure, Target, publish, wide_console
from serve_app.errors import Quarantined

PEACE = "nothing happens"
KILLED = "editor killed"
REMOVED = "worker node removed"
DEADLY = "deadly edit"

_ALLOWED_S = 5.0
"""What a fault may add to the time of an edit, besides another edit."""


class Parts:
    """The parts that have been run, by name."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.sent: dict[str, Sent] = {}
        self.took_s: dict[str, float] = {}

    def run(self, name: str, part: Callable[..., Sent], *arguments: Any) -> None:
        self._console.print(f"{name} …")
        started = time.monotonic()
        sent = self.sent[name] = part(*arguments)
        self.took_s[name] = time.monotonic() - started
        self._console.print(
            f"  {len(sent.answers)} edits, failed: {sent.failed or 'none'}, "
            f"median {sent.median_s:.2f} s, slowest {sent.slowest_s:.2f} s"
        )


def main(
    requests: Annotated[int, typer.Option(help="Edits in every part, at least.")] = 200,
    updates: Annotated[int, typer.Option(help="Rolling updates.")] = 3,
) -> None:
    """Kill, remove, update and scale under load; count what failed and what it cost."""
    console = wide_console()
    done = Parts(console)
    with nodes() as cluster:
        deaths = cluster.root / "deaths"
        _run_all(done, cluster, requests, updates, deaths)
        died = len(deaths.read_text().splitlines()) if deaths.exists() else 0
    publish(console, "faults", [*_figures(done), *_figures_of_deadly(done, died)], _details(done))


def _run_all(done: Parts, cluster: Nodes, requests: int, updates: int, deaths: Path) -> None:
    done.run(PEACE, parts.peace, cluster, requests)
    done.run(KILLED, parts.editor_killed, cluster, requests)
    cluster.wait_for("Editor", 2)
    done.run(REMOVED, parts.node_removed, cluster, requests)
    cluster.add_worker()
    cluster.wait_for("Editor", 2)
    for number in range(1, updates + 1):
        changes = {"limits": {"max_steps": 500 + number}}
        done.run(f"rolling update {number}", parts.updated, cluster, requests, changes)
    done.run("broken update", parts.broken_update, cluster, requests)
    done.run("after the broken update", parts.peace, cluster, requests)
    cluster.deploy(parts.SCALING)
    cluster.wait_for("Editor", 1)
    done.run("scale-up", parts.scaled, cluster, requests, 2, parts.AT_ONCE)
    done.run("scale-down", parts.scaled, cluster, requests, 1, 1)
    with doomed_editors(deaths):
        cluster.deploy()
    cluster.wait_for("Editor", 2)
    done.run(DEADLY, parts.deadly_edit, cluster, requests)


def _figures(done: Parts) -> Iterator[Figure]:
    peace = done.sent[PEACE]
    for name, sent in done.sent.items():
        if name not in (PEACE, DEADLY):
            what = f"{name}: edits that failed of {len(sent.answers)}"
            yield Figure(what, sum(sent.failed.values()), "", Target(0))
    for name in (KILLED, REMOVED):
        sent = done.sent[name]
        yield Figure(
            f"{name}: the slowest edit took longer by",
            sent.slowest_s - peace.slowest_s,
            "s",
            Target(peace.median_s + _ALLOWED_S),
            f"{peace.slowest_s:.2f} s in peace; the median is {peace.median_s:.2f} s",
        )
        yield Figure(
            f"{name}: largest difference of a pixel to the edit made in peace",
            largest_difference(peace, sent),
            "of 255",
            Target(1),
        )


def _figures_of_deadly(done: Parts, died: int) -> Iterator[Figure]:
    sent = done.sent[DEADLY]
    refused = sent.failed.get(Quarantined.code, 0)
    yield Figure(f"{DEADLY}: editors that died", died, "", Target(2))
    yield Figure(f"{DEADLY}: refused in the end", refused, "of 1", Target(1, at_most=False))
    what = f"{DEADLY}: others that failed of {len(sent.answers) - 1}"
    yield Figure(what, sum(sent.failed.values()) - refused, "", Target(0))


def _details(done: Parts) -> dict[str, Any]:
    return {
        name: {
            "edits": len(sent.answers),
            "failed": sent.failed,
            "median_s": sent.median_s,
            "slowest_s": sent.slowest_s,
            "took_s": done.took_s[name],
        }
        for name, sent in done.sent.items()
    }


if __name__ == "__main__":
    typer.run(main)
