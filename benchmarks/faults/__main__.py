"""Faults on three nodes, and what they cost those who wait: `python -m benchmarks.faults`.

Two editors on two nodes answer edits while a third node takes them in. In every part at least 200
edits are sent, and something happens to the service in their midst. What the slowest of them took
is compared with the slowest of as many that were left in peace, and pictures that had to be made
twice with those made in peace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.faults import parts
from benchmarks.faults.doomed import doomed_editors
from benchmarks.faults.load import Sent, largest_difference
from benchmarks.nodes import Nodes, nodes
from benchmarks.report import (
    Figure,
    Target,
    known_details,
    machine_facts,
    publish,
    wide_console,
)
from benchmarks.selection import selected
from serve_app.errors import Quarantined

PEACE = "nothing happens"
DEADLY = "deadly edit"

_ALLOWED_S = 5.0
"""What a fault may add to the time of an edit, besides another edit."""


class Trial:
    """Runs parts on the nodes, and keeps what came of them."""

    def __init__(self, console: Console, cluster: Nodes, requests: int) -> None:
        self._console = console
        self._requests = requests
        self.cluster = cluster
        self.parts: dict[str, dict[str, Any]] = {}

    def run(self, name: str, part: Callable[..., Sent], *arguments: Any) -> Sent:
        """Send edits by ``part`` and tell how they fared."""
        self._console.print(f"{name} …")
        started = time.monotonic()
        sent = part(self.cluster, self._requests, *arguments)
        self.parts[name] = {
            "edits": len(sent.answers),
            "failed": sent.failed,
            "median_s": sent.median_s,
            "slowest_s": sent.slowest_s,
            "took_s": time.monotonic() - started,
        }
        self._console.print(
            f"  {len(sent.answers)} edits, failed: {sent.failed or 'none'}, "
            f"median {sent.median_s:.2f} s, slowest {sent.slowest_s:.2f} s"
        )
        return sent


def _losses(trial: Trial) -> None:
    """An editor is killed, a node goes."""
    peace = trial.run(PEACE, parts.peace)
    killed = trial.run("editor killed", parts.editor_killed)
    trial.cluster.wait_for("Editor", 2)
    removed = trial.run("worker node removed", parts.node_removed)
    trial.cluster.add_worker()
    trial.cluster.wait_for("Editor", 2)
    for name, sent in (("editor killed", killed), ("worker node removed", removed)):
        trial.parts[name]["largest_difference"] = largest_difference(peace, sent)


def _updates(trial: Trial) -> None:
    """Three good versions and one that can't start."""
    for number in (1, 2, 3):
        changes = {"limits": {"max_steps": 500 + number}}
        trial.run(f"rolling update {number}", parts.updated, changes)
    trial.run("broken update", parts.broken_update)
    trial.run("after the broken update", parts.peace)


def _scaling(trial: Trial) -> None:
    """The load grows, and falls."""
    trial.cluster.deploy(parts.SCALING)
    trial.cluster.wait_for("Editor", 1)
    trial.run("scale-up", parts.scaled, 2, parts.AT_ONCE)
    trial.run("scale-down", parts.scaled, 1, 1)


def _deadly(trial: Trial) -> None:
    """One edit kills whatever runs it."""
    deaths = trial.cluster.root / "deaths"
    with doomed_editors(deaths):
        trial.cluster.deploy()
    trial.cluster.wait_for("Editor", 2)
    trial.run(DEADLY, parts.deadly_edit)
    trial.parts[DEADLY]["deaths"] = len(deaths.read_text().splitlines()) if deaths.exists() else 0


GROUPS: dict[str, Callable[[Trial], None]] = {
    "losses": _losses,
    "updates": _updates,
    "scaling": _scaling,
    "deadly": _deadly,
}


def main(
    groups: Annotated[
        str,
        typer.Option(
            help="Which faults, with commas between. losses: an editor is killed, a node goes; "
            "updates: three versions and one that can't start; scaling: up and down; deadly: an "
            "edit that kills editors. The others stay in the results as they are."
        ),
    ] = ",".join(GROUPS),
    requests: Annotated[int, typer.Option(help="Edits in every part, at least.")] = 200,
) -> None:
    """Kill, remove, update and scale under load; count what failed and what it cost."""
    wanted = selected(groups, GROUPS, "group")
    console = wide_console()
    details = known_details("faults")
    with nodes() as cluster:
        for name in wanted:
            trial = Trial(console, cluster, requests)
            GROUPS[name](trial)
            details[name] = {"run": machine_facts(), "parts": trial.parts}
    details = {name: details[name] for name in GROUPS if name in details}
    publish(console, "faults", list(figures(details)), details)


def figures(details: Mapping[str, Any]) -> Iterator[Figure]:
    """What the table shows, of the groups that there are."""
    for group in details.values():
        for name, part in group["parts"].items():
            if name == DEADLY:
                yield from _figures_of_deadly(part)
            elif name != PEACE:
                what = f"{name}: edits that failed of {part['edits']}"
                yield Figure(what, sum(part["failed"].values()), "", Target(0))
            if "largest_difference" in part:
                yield from _figures_of_a_loss(name, part, group["parts"][PEACE])


def _figures_of_a_loss(
    name: str, part: Mapping[str, Any], peace: Mapping[str, Any]
) -> Iterator[Figure]:
    yield Figure(
        f"{name}: the slowest edit took longer by",
        part["slowest_s"] - peace["slowest_s"],
        "s",
        Target(round(peace["median_s"] + _ALLOWED_S, 2)),
        f"{peace['slowest_s']:.2f} s in peace; the median is {peace['median_s']:.2f} s",
    )
    yield Figure(
        f"{name}: largest difference of a pixel to the edit made in peace",
        part["largest_difference"],
        "of 255",
        Target(1),
    )


def _figures_of_deadly(part: Mapping[str, Any]) -> Iterator[Figure]:
    refused = part["failed"].get(Quarantined.code, 0)
    yield Figure(f"{DEADLY}: editors that died", part["deaths"], "", Target(2))
    yield Figure(f"{DEADLY}: refused in the end", refused, "of 1", Target(1, at_most=False))
    what = f"{DEADLY}: others that failed of {part['edits'] - 1}"
    yield Figure(what, sum(part["failed"].values()) - refused, "", Target(0))


if __name__ == "__main__":
    typer.run(main)
