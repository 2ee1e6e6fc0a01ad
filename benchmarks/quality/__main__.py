"""How well the validator judges: `python -m benchmarks.quality`.

Both splits of the labelled suite are judged with everything but a judge model. The limits of the
table were fitted on the development photos; every figure is of the test photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.quality import judged as judged_picture
from benchmarks.quality import timing
from benchmarks.quality.aims import COLLAPSE, MISSPELT, curves, fits
from benchmarks.quality.measure import Judged, judge_all, load, save
from benchmarks.quality.picture import draw
from benchmarks.quality.scores import by, inversions, noticed, precision, rejected
from benchmarks.quality.suite import Split
from benchmarks.report import RESULTS, Figure, Target, publish, wide_console
from serve_app.edits.request import EditType

LOCAL = (EditType.APPEARANCE, EditType.TEXT)


def main(
    scale: Annotated[float, typer.Option(help="Size of the suite; 1 is about 950 a split.")] = 1.0,
    keep: Annotated[
        Path | None, typer.Option(help="Folder to keep what was judged in, and to take it from.")
    ] = None,
) -> None:
    """Judge the suite, print the rates, and draw the curves."""
    console = wide_console()
    judged = {}
    for split in Split:
        console.print(f"Judging the {split} photos …")
        judged[split] = _judged(split, scale, keep)
    test = judged[Split.TEST]
    console.print(_by_kind(test))
    figures = [*_recall(test), *_false_alarms(test), *_order(test), *_seconds()]
    ours = {kind: rejected(found, _ours) for kind, found in by(noticed(test), _kind).items()}
    seed = {kind: rejected(found, _seed) for kind, found in by(noticed(test), _kind).items()}
    drawn = curves(test)
    draw(drawn, ours, seed, RESULTS / "quality.png")
    judged_picture.draw(RESULTS / "judged.png")
    details = {
        "samples": {str(split): _counts(found) for split, found in judged.items()},
        "by kind, test": _details(test),
        "by edit type, test": {
            kind: rejected((one for one in found if one.good), _ours).to_json()
            for kind, found in by(test, lambda one: one.edit_type).items()
        },
        "area under the curve, test": {curve.check: curve.area for curve in drawn},
        "limits and development": fits(judged[Split.DEVELOPMENT]),
        "development": {
            "recall of other defects, medium and strong": rejected(
                _other(judged[Split.DEVELOPMENT]), _ours
            ).to_json(),
            "false positives": rejected(
                (one for one in judged[Split.DEVELOPMENT] if one.good), _ours
            ).to_json(),
        },
        "stronger defects that passed where weaker ones failed": inversions(test),
    }
    publish(console, "quality", figures, details)


def _judged(split: Split, scale: float, keep: Path | None) -> list[Judged]:
    file = None if keep is None else keep / f"{split}.jsonl"
    if file is not None and file.is_file():
        return load(file)
    judged = judge_all(split, scale)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        save(judged, file)
    return judged


def _recall(test: Sequence[Judged]) -> list[Figure]:
    exact = [
        ("collapse", [one for one in test if one.kind in COLLAPSE]),
        ("exact no-op", [one for one in test if one.kind == "no_op"]),
        *(
            (
                f"one wrong character, {kind[-2:]}",
                [o for o in test if o.kind == kind and o.strength == 1],
            )
            for kind in MISSPELT
        ),
    ]
    figures = [_rate(f"recall: {name}", found, Target(1.0, at_most=False)) for name, found in exact]
    other = _rate("recall: all other defects, medium and strong", _other(test), Target(0.95, False))
    return [*figures, other]


def _false_alarms(test: Sequence[Judged]) -> list[Figure]:
    def good(*kinds: EditType) -> list[Judged]:
        return [one for one in test if one.good and one.edit_type in kinds]

    found = precision(test, _ours)
    return [
        _rate("false positives: good local edits", good(*LOCAL), Target(0.05)),
        _rate("false positives: good semantic edits", good(EditType.SEMANTIC), Target(0.10)),
        _rate("false positives: good hybrid edits", good(EditType.HYBRID), None),
        Figure("precision", found.share, "share", None, f"{found}; seed {precision(test, _seed)}"),
    ]


def _order(test: Sequence[Judged]) -> list[Figure]:
    wrong = inversions(test)
    groups = len({one.group for one in test if not one.good and one.strength is not None})
    beside = f"of {groups} groups of three strengths"
    return [
        Figure(
            "a stronger defect passes, a weaker one not", len(wrong), "groups", Target(0), beside
        )
    ]


def _seconds() -> list[Figure]:
    taken = timing.seconds(Split.TEST)
    beside = f"{timing.SIDE}x{timing.SIDE}, {timing.THREADS} threads, by turns"
    return [
        Figure("one judgement without reading", taken["without"], "s", Target(0.9), beside),
        Figure("one judgement with reading", taken["with"], "s", Target(1.8), beside),
    ]


def _rate(what: str, found: Sequence[Judged], target: Target | None) -> Figure:
    ours, seed = rejected(found, _ours), rejected(found, _seed)
    return Figure(what, ours.share, "share", target, f"{ours} of {ours.of}; seed method {seed}")


def _other(judged: Sequence[Judged]) -> list[Judged]:
    named = {*COLLAPSE, "no_op"}
    return [one for one in noticed(judged) if one.kind not in named]


def _by_kind(test: Sequence[Judged]) -> Table:
    table = Table(title="Test photos, share rejected [Wilson 95 %]", title_justify="left")
    for heading in ("", "kind", "weak", "medium", "strong or exact", "seed method, all"):
        table.add_column(heading)
    for good in (True, False):
        for kind, found in by((one for one in test if one.good is good), _kind).items():
            cells = [
                str(rejected(part, _ours)) if (part := _of_strength(found, strengths)) else ""
                for strengths in ((1,), (2,), (3, None))
            ]
            table.add_row("good" if good else "", kind, *cells, str(rejected(found, _seed)))
    return table


def _details(test: Sequence[Judged]) -> dict[str, Any]:
    return {
        kind: {
            "good": found[0].good,
            "rejected": {
                name: rejected(part, _ours).to_json()
                for name, strengths in (
                    ("weak", (1,)),
                    ("medium", (2,)),
                    ("strong", (3,)),
                    ("exact", (None,)),
                )
                if (part := _of_strength(found, strengths))
            },
            "seed method": rejected(found, _seed).to_json(),
        }
        for kind, found in by(test, _kind).items()
    }


def _of_strength(found: Sequence[Judged], strengths: Sequence[int | None]) -> list[Judged]:
    return [one for one in found if one.strength in strengths]


def _counts(judged: Sequence[Judged]) -> dict[str, int]:
    good = sum(one.good for one in judged)
    return {"good": good, "defective": len(judged) - good}


def _kind(one: Judged) -> str:
    return one.kind


def _ours(one: Judged) -> bool:
    return one.rejected


def _seed(one: Judged) -> bool:
    return one.rejected_by_seed_method


if __name__ == "__main__":
    typer.run(main)
