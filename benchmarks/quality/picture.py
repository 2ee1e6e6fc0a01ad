"""The picture beside the figures: a curve for every check, and recall by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from benchmarks.quality.aims import Curve
from benchmarks.quality.scores import Rate

_OURS, _SEED = "#2f6f8f", "#c9a15a"


def draw(
    curves: Sequence[Curve], ours: Mapping[str, Rate], seed: Mapping[str, Rate], path: Path
) -> None:
    """Above, ROC curves on the test photos; below, recall of medium and strong defects."""
    mpl.use("Agg")
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    columns = 6
    rows = -(-len(curves) // columns)
    figure = plt.figure(figsize=(13, 2.2 * rows + 3.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[2.2 * rows, 3.6])
    for number, curve in enumerate(curves):
        axes = above.add_subplot(rows, columns, number + 1)
        axes.plot([0, 1], [0, 1], color="#ccc", lw=1)
        axes.plot(curve.false_positives, curve.recall, color=_OURS, lw=2)
        axes.set_title(f"{curve.check.replace('_', ' ')}  {curve.area:.3f}", loc="left")
        axes.set_xlim(-0.02, 1)
        axes.set_ylim(0, 1.03)
        axes.set_xticks([0, 1])
        axes.set_yticks([0, 1])
    above.supxlabel("share of good edits beyond the limit, as it moves", fontsize=9)
    above.supylabel("share of its defects", fontsize=9)
    axes = below.add_subplot()
    kinds = list(ours)
    places = range(len(kinds))
    axes.bar([p - 0.2 for p in places], [ours[k].share for k in kinds], 0.4, color=_OURS)
    axes.bar([p + 0.2 for p in places], [seed[k].share for k in kinds], 0.4, color=_SEED)
    axes.set_xticks(places, [kind.replace("_", " ") for kind in kinds], rotation=60, ha="right")
    axes.set_title(
        "Recall by kind of defect, medium and strong: ours (blue), global SSIM and clarity (sand)",
        loc="left",
    )
    axes.set_ylim(0, 1.03)
    figure.savefig(path, dpi=100)
    plt.close(figure)
