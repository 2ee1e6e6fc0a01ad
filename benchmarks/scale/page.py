"""The tables of `cluster/SIZING.md`, from the results: `python -m benchmarks.scale.page`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.report import REPOSITORY, RESULTS, shown
from benchmarks.scale.planning import SIZES
from benchmarks.scale.runs import MIXES

PAGE = REPOSITORY / "cluster" / "SIZING.md"

_BLOCK = re.compile(r"(<!-- from the results: (\w+) -->\n)(?:(?!<!--).)*?(<!-- end -->)", re.DOTALL)


def with_tables(text: str, details: Mapping[str, Any]) -> str:
    """``text`` with every table made from ``details``; raises ``KeyError`` for an unknown one."""
    return _BLOCK.sub(lambda found: f"{found[1]}{_TABLES[found[2]](details)}\n{found[3]}", text)


def _conditions(details: Mapping[str, Any]) -> str:
    """What else the machine did meanwhile, which tells how far the figures can be trusted."""
    said = []
    if note := details["plan"].get("note"):
        said.append(f"**{note.capitalize()}.**")
    used = details["measure"]["neighbours_cores"]
    said.append(f"While the costs were measured other programs used {used:.2f} cores.")
    return " ".join(said)


def _sizes(details: Mapping[str, Any]) -> str:
    rows = []
    for gpus in SIZES:
        for mix in MIXES:
            run = details["plan"]["sizes"][f"{gpus} GPUs, {mix}"]
            shape = run["shape"]
            parts = ("proxies", "ingresses", "routers", "shards", "validators")
            tails = ", ".join(
                f"{steps} steps: {seconds:.3g} s"
                for steps, seconds in run["p99_by_steps_s"].items()
            )
            rows.append(
                [
                    gpus, mix, f"{run['served_per_s']:.3g}", f"{run['p50_s']:.3g} s", tails,
                    *(shape[part] for part in parts),
                ]
            )  # fmt: skip
    return _table(
        "GPUs", "edits", "served/s", "p50", "p99", "proxies", "ingresses", "routers",
        "cache shards", "validators", rows=rows,
    )  # fmt: skip


def _replicas(details: Mapping[str, Any]) -> str:
    plan = details["plan"]
    parts = next(iter(plan["gpus_per_replica"].values()))
    rows = [
        [
            part,
            *(shown(plan["gpus_per_replica"][mix][part]) for mix in MIXES),
            *(shown(plan["first_full"][mix][part]) for mix in MIXES),
        ]
        for part in parts
    ]
    network = [shown(plan["gpus_per_network"][mix]) for mix in MIXES]
    rows.append(["the network of a node, if all routers are there", *network, *network])
    fed, full = "GPUs each feeds: {}", "full in `configs/cluster.yaml` from: {}"
    headings = [heading.format(mix) for heading in (fed, full) for mix in MIXES]
    return _table("", *headings, rows=rows)


def _validated(details: Mapping[str, Any]) -> str:
    if "validate" not in details:
        return "Not validated yet: `python -m benchmarks.scale --parts validate`."
    rows = []
    for each in details["validate"]["loads"]:
        real, simulated, off = each["measured"], each["simulated"], each["off"]
        cells = [
            f"{real[name]:.3g} / {simulated[name]:.3g} ({off[name]:+.0%})"
            for name in ("per_s", "p50_s", "p95_s", "p99_s")
        ]
        rows.append([each["load"], *cells, f"{each['neighbours_cores']:.2f}"])
    return _table(
        "load", "requests/s: measured / simulated", "p50, s", "p95, s", "p99, s",
        "cores used by others", rows=rows,
    )  # fmt: skip


def _bursts(details: Mapping[str, Any]) -> str:
    rows = [
        [
            what,
            f"{it['measured_mean_s']:.3g} / {it['simulated_mean_s']:.3g} s",
            f"{it['measured_last_s']:.3g} / {it['simulated_last_s']:.3g} s",
        ]
        for what, it in details["plan"]["burst_on_one_gpu"].items()
    ]
    return _table("on one H200", "mean: measured / simulated", "last", rows=rows)


def _pending(details: Mapping[str, Any]) -> str:
    return _runs(details["plan"]["max_pending"], "`engine.max_pending`")


def _routers(details: Mapping[str, Any]) -> str:
    return _runs(details["plan"]["routers"], "64 GPUs, edits of 4 steps")


def _runs(runs: Mapping[str, Any], heading: str) -> str:
    rows = [
        [
            what, f"{run['served_per_s']:.3g}", f"{run['refused']:.1%}", f"{run['p50_s']:.3g} s",
            f"{run['p99_s']:.3g} s", f"{run['busy']['devices']:.0%}",
        ]
        for what, run in runs.items()
    ]  # fmt: skip
    return _table(heading, "served/s", "refused", "p50", "p99", "devices busy", rows=rows)


def _targets(details: Mapping[str, Any]) -> str:
    rows = [
        [
            target, f"{run['p50_s']:.3g} s", f"{run['p99_s']:.3g} s", f"{run['refused']:.1%}",
            f"{run['editor_hours']:.3g}",
        ]
        for target, run in details["plan"]["target_work_s"].items()
    ]  # fmt: skip
    return _table("`target_work_s`", "p50", "p99", "refused", "editor hours", rows=rows)


def _costs(details: Mapping[str, Any]) -> str:
    edit, near = (details["measure"]["cpu_ms"][what] for what in ("edit", "near_hit"))
    rows = [
        [part, f"{edit[part]:.3g} ms", f"{near.get(part, 0.0):.3g} ms"]
        for part in ("proxy", "ingress", "router", "cache", "editor", "validator")
    ]
    return _table(
        "core time at 1024x1024", "for an edit", "for a request answered nearby", rows=rows
    )


def _assumed(details: Mapping[str, Any]) -> str:
    plan = details["plan"]
    rows = [[name.replace("_", " "), f"{value:,g}"] for name, value in plan["assumed"].items()]
    rows.append(["what a router sends for an edit, bytes", f"{plan['router_bytes_per_edit']:,}"])
    rows += [
        [f"cores of Serve's controller, {gpus} GPUs (measured here, in proportion)", f"{cores:.2g}"]
        for gpus, cores in plan["controller_cores"].items()
    ]
    return _table("assumed", "", rows=rows)


def _table(*headings: str, rows: Iterable[Sequence[object]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


_TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "conditions": _conditions,
    "sizes": _sizes,
    "replicas": _replicas,
    "validated": _validated,
    "bursts": _bursts,
    "max_pending": _pending,
    "routers": _routers,
    "target_work_s": _targets,
    "costs": _costs,
    "assumed": _assumed,
}


if __name__ == "__main__":
    written = json.loads((RESULTS / "scale.json").read_text())["details"]
    PAGE.write_text(with_tables(PAGE.read_text(), written))
