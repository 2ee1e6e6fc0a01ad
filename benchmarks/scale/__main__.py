"""How large a cluster: `python -m benchmarks.scale`, an hour with all its parts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.nodes import nodes
from benchmarks.report import (
    REPOSITORY,
    RESULTS,
    Figure,
    Target,
    known_details,
    machine_facts,
    publish,
    wide_console,
)
from benchmarks.scale.measuring import measure
from benchmarks.scale.page import PAGE, with_tables
from benchmarks.scale.picture import draw
from benchmarks.scale.planning import SIZES, plan
from benchmarks.scale.runs import MIXES
from benchmarks.scale.validation import EDITORS, validate
from benchmarks.selection import selected

PARTS = ("measure", "validate", "plan")
QUIET = 0.25
"""Cores that others may use meanwhile."""


def main(
    parts: Annotated[
        str,
        typer.Option(
            help="Which to run, with commas between. measure: what a request costs each part, on "
            "three nodes of this machine; validate: the simulation against them; plan: 8, 64 and "
            "512 GPUs, simulated from `measure`. The others stay in the results as they are."
        ),
    ] = ",".join(PARTS),
) -> None:
    """Measure, simulate, print, and write results, picture and the page's tables."""
    wanted = selected(parts, PARTS, "part")
    console = wide_console()
    details = known_details("scale")
    if {"measure", "validate"} & set(wanted):
        _on_nodes(console, wanted, details)
    if "plan" in wanted:
        console.print("Planning for 8, 64 and 512 GPUs …")
        if "measure" not in details:
            raise typer.BadParameter("`plan` needs the results of `measure`: run that, too")
        details["plan"] = {"run": machine_facts(), **plan(details["measure"])}
    publish(console, "scale", figures(details), details)
    if "plan" in details:
        # As they were rounded for the file: the page must be what the file says.
        written = known_details("scale")
        draw(written, RESULTS / "scale.png")
        PAGE.write_text(with_tables(PAGE.read_text(), written))
        console.print(f"Written to {PAGE.relative_to(REPOSITORY)} and results/scale.png.")


def _on_nodes(console: Console, wanted: list[str], details: dict[str, Any]) -> None:
    """Start the nodes once for both parts."""
    console.print(f"Three nodes on this machine; load average {os.getloadavg()[0]:.1f} …")
    with nodes(workers=EDITORS) as running:
        for name, part in (("measure", measure), ("validate", validate)):
            if name in wanted:
                console.print(f"{name} …")
                details[name] = {"run": machine_facts(), **part(running)}


def figures(details: Mapping[str, Any]) -> list[Figure]:
    """What the table shows, of the parts that there are."""
    return [
        *_validated(details.get("validate")),
        *_measured(details.get("measure")),
        *_planned(details.get("plan")),
    ]


def _validated(validated: Mapping[str, Any] | None) -> list[Figure]:
    found = []
    for each in validated["loads"] if validated else ():
        what = f"simulation off from three nodes, {each['load']}"
        real, simulated, off = each["measured"], each["simulated"], each["off"]
        noise = each["neighbours_cores"]
        beside = "" if noise <= QUIET else f"; others used {noise:.2f} cores: not quiet"
        rates = f"{real['per_s']:.2f}/s measured, {simulated['per_s']:.2f}/s simulated"
        tails = f"{real['p95_s']:.2f} s measured, {simulated['p95_s']:.2f} s simulated"
        found += [
            Figure(f"{what}: throughput", 100 * abs(off["per_s"]), "%", Target(15), rates + beside),
            Figure(f"{what}: p95", 100 * abs(off["p95_s"]), "%", Target(15), tails + beside),
        ]
    return found


def _measured(measured: Mapping[str, Any] | None) -> list[Figure]:
    if measured is None:
        return []
    return [
        Figure(f"{part}: core time for an edit at 1024x1024", ms, "ms")
        for part, ms in measured["cpu_ms"]["edit"].items()
        if part in ("proxy", "ingress", "router", "cache", "validator")
    ]


def _planned(planned: Mapping[str, Any] | None) -> list[Figure]:
    if planned is None:
        return []
    found = []
    for burst_of, burst in planned["burst_on_one_gpu"].items():
        off = burst["simulated_mean_s"] / burst["measured_mean_s"] - 1
        beside = f"{burst['measured_mean_s']:.2f} s measured on an H200"
        what = f"simulation off from one GPU, {burst_of}: mean"
        found.append(Figure(what, 100 * abs(off), "%", Target(15), beside))
    for gpus in SIZES:
        for mix in MIXES:
            run = planned["sizes"][f"{gpus} GPUs, {mix}"]
            found.append(
                Figure(
                    f"{gpus} GPUs, {mix}, at {run['load']:.0%} load",
                    run["served_per_s"],
                    "edits/s",
                    compared_with=f"p99 {run['p99_s']:.0f} s",
                )
            )
    return found


if __name__ == "__main__":
    typer.run(main)
