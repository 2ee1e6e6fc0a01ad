"""The picture beside the page: `results/scale.png`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.report import shown
from benchmarks.scale.planning import LOADS, SIZES
from benchmarks.scale.runs import MIXES, requests_per_s

# Okabe and Ito's colours, which everybody can tell apart.
_BLUE, _ORANGE, _GREEN = "#0072B2", "#E69F00", "#009E73"
_BY_SIZE = dict(zip(SIZES, (_BLUE, _ORANGE, _GREEN), strict=True))
_BY_MIX = dict(zip(MIXES, (_BLUE, _ORANGE, _GREEN), strict=True))
_LATENCIES = {"p50_s": "p50", "p95_s": "p95", "p99_s": "p99"}


def draw(details: Mapping[str, Any], path: Path) -> None:
    """Four panels: what is served, what a replica feeds, autoscaling, and the validation."""
    mpl.use("Agg")
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(2, 2, figsize=(13, 9.2), layout="constrained")
    _served(axes[0, 0], details["plan"])
    _fed(axes[0, 1], details["plan"])
    _scaled(axes[1, 0], details["plan"])
    _validated(axes[1, 1], details.get("validate"))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _served(panel: Axes, plan: Mapping[str, Any]) -> None:
    for gpus, colour in _BY_SIZE.items():
        able = requests_per_s(gpus, "4 steps", 1.0)
        for name, line, mark in (("recommended", "-", "o"), ("configs/cluster.yaml", "--", "s")):
            served = [
                plan["loads"][f"{gpus} GPUs, load {load:g}, {name}"]["served_per_s"] / able
                for load in LOADS
            ]
            panel.plot(LOADS, served, line, marker=mark, color=colour, label=f"{gpus}, {name}")
    panel.plot([LOADS[0], 1.0], [LOADS[0], 1.0], color="#999999", lw=0.8, zorder=0)
    panel.set_title("Served, edits of 4 steps: GPUs and front", loc="left")
    panel.set_xlabel("requests sent, as a share of what the GPUs can do")
    panel.set_ylabel("requests served, likewise")
    panel.set_ylim(0, 1.5)
    panel.grid(alpha=0.25)
    panel.legend(frameon=False, fontsize=8.5, loc="upper left", ncols=2)


def _fed(panel: Axes, plan: Mapping[str, Any]) -> None:
    parts = list(next(iter(plan["gpus_per_replica"].values())))[::-1]
    for number, (mix, colour) in enumerate(_BY_MIX.items()):
        fed = [plan["gpus_per_replica"][mix][part] for part in parts]
        places = [place - (number - 1) * 0.27 for place in range(len(parts))]
        bars = panel.barh(places, fed, 0.25, color=colour, label=mix)
        panel.bar_label(bars, fmt=shown, padding=3, fontsize=8.5)
    panel.set_xscale("log")
    panel.set_yticks(range(len(parts)), parts)
    panel.set_title("GPUs that one replica can feed, each with one core", loc="left")
    panel.set_xlabel(f"GPUs, at most {plan['assumed']['busy_at_most']:.0%} busy")
    panel.margins(x=0.25)
    panel.legend(frameon=False, fontsize=8.5, loc="lower right")


def _scaled(panel: Axes, plan: Mapping[str, Any]) -> None:
    runs = plan["target_work_s"]
    targets = [float(target) for target in runs]
    panel.plot(targets, [run["p99_s"] for run in runs.values()], "o-", color=_BLUE)
    panel.set_xscale("log")
    panel.set_xticks(targets, [f"{target:g}" for target in targets])
    panel.minorticks_off()
    panel.set_ylim(bottom=0)
    panel.set_ylabel("p99 of all requests, seconds", color=_BLUE)
    panel.set_xlabel("target_work_s, seconds of work for each editor")
    panel.set_title("Autoscaling: the load triples within the hour", loc="left")
    panel.grid(alpha=0.25)
    hours = panel.twinx()
    hours.plot(targets, [run["editor_hours"] for run in runs.values()], "s--", color=_ORANGE)
    hours.set_ylim(bottom=0)
    hours.set_ylabel("editor hours", color="#9a6a00")
    hours.spines["right"].set_visible(True)


def _validated(panel: Axes, validated: Mapping[str, Any] | None) -> None:
    panel.set_title("Three real nodes against their simulation", loc="left")
    if validated is None:
        panel.text(0.5, 0.5, "not validated yet", ha="center", transform=panel.transAxes)
        return
    marks = dict(zip(_LATENCIES, ("o", "s", "^"), strict=True))
    colours = (_BLUE, _ORANGE, _GREEN, "#CC79A7")
    values = []
    for each, colour in zip(validated["loads"], colours, strict=False):
        for name, mark in marks.items():
            real, simulated = each["measured"][name], each["simulated"][name]
            panel.plot(real, simulated, mark, color=colour, ms=8)
            values += [real, simulated]
    ends = [0.8 * min(values), 1.25 * max(values)]
    panel.plot(ends, ends, color="#666666", lw=1)
    panel.fill_between(
        ends, [0.85 * end for end in ends], [1.15 * end for end in ends], color="#cccccc", alpha=0.5
    )
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("measured latency, seconds")
    panel.set_ylabel("simulated latency, seconds")
    handles = [
        mpl.lines.Line2D([], [], marker="o", ls="", color=colour, label=each["load"])
        for each, colour in zip(validated["loads"], colours, strict=False)
    ] + [
        mpl.lines.Line2D([], [], marker=mark, ls="", color="#444444", label=_LATENCIES[name])
        for name, mark in marks.items()
    ]
    handles.append(mpl.patches.Patch(color="#cccccc", label="within 15 %"))
    panel.legend(handles=handles, frameon=False, fontsize=8.5, loc="upper left")
