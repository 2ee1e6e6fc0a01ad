"""The picture beside the figures of `benchmarks.scheduling`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

_COLOURS = {
    "first come first served": "#9aa5b1",
    "full batches": "#e0a458",
    "least work first": "#2f6f8f",
}


def draw(details: Mapping[str, Any], path: Path) -> None:
    """Left: simulated means by mix and policy. Right: measured latencies of both policies."""
    mpl.use("Agg")
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
    mixes = details["simulated"]
    for number, (name, colour) in enumerate(_COLOURS.items()):
        means = [by_policy[name] for by_policy in mixes.values()]
        places = [mix + (number - 1) * 0.27 for mix in range(len(mixes))]
        bars = left.bar(places, means, 0.25, color=colour, label=name)
        left.bar_label(bars, fmt="%.0f s", padding=2, fontsize=9)
    labels = [mix.replace(", ", "\n") for mix in mixes]
    left.set_xticks(range(len(mixes)), labels)
    left.set_title("Mean latency, simulated H200, 1024² and 512²", loc="left")
    left.set_ylabel("seconds")
    left.legend(frameon=False)
    for name, values in details["poisson"]["latencies_s"].items():
        shares = [(i + 1) / len(values) for i in range(len(values))]
        right.step(sorted(values), shares, where="post", color=_COLOURS[name], label=name, lw=2)
    right.set_xscale("log")
    right.set_title("300 edits on the real engine, 2 cores, 80 % load", loc="left")
    right.set_xlabel("latency, seconds")
    right.set_ylabel("share of edits done")
    right.set_ylim(0, 1)
    right.grid(alpha=0.25)
    right.legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
