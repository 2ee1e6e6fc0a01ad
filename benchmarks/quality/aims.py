"""Which check a kind of defect is meant for: what its curve and its limit are drawn from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from benchmarks.quality.measure import Judged
from serve_app.edits.request import EditType
from serve_app.quality.table import TABLE, Rule

AIMS = {
    "one_colour": "collapse",
    "two_colours": "collapse",
    "only_noise": "collapse",
    "faded": "collapse",
    "no_op": "no_op",
    "near_no_op": "no_op",
    "zoom": "drift",
    "shift": "drift",
    "local_warp": "displaced",
    "scrambled": "displaced",
    "background_repainted": "over_edit",
    "restyled": "over_edit",
    "spilt": "outside_mask",
    "wrong_place": "outside_mask",
    "wrong_character_en": "target_text",
    "wrong_character_zh": "target_text",
    "wrong_character_ko": "target_text",
    "text_missing": "target_text",
    "old_text_kept": "old_text",
    "old_text_beside": "old_text",
    "other_text_damaged": "other_text",
    "double_image": "preservation",
    "posterised": "preservation",
    "cast": "cast",
    "oversaturated": "oversaturation",
    "blur": "blur",
    "over_sharpened": "sharpening",
    "noise": "noise",
    "grid_8": "grid",
    "grid_16": "grid",
    "jpeg": "blocks",
}

COLLAPSE = ("one_colour", "two_colours", "only_noise", "faded")
MISSPELT = ("wrong_character_en", "wrong_character_zh", "wrong_character_ko")


@dataclass(frozen=True, slots=True)
class Curve:
    """How a check parts the defects it is meant for from all good edits."""

    check: str
    false_positives: list[float]
    recall: list[float]
    area: float
    defects: int
    good: int


def curves(judged: Iterable[Judged]) -> list[Curve]:
    """Draw the curve of every check that has defects of its own."""
    every = list(judged)
    drawn = (_curve(rule, every) for rule in TABLE if rule.name in AIMS.values())
    return [curve for curve in drawn if curve is not None]


def fits(judged: Iterable[Judged]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Per check and edit type: the limit, the worst good value, the median medium defect."""
    every = list(judged)
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for rule in TABLE:
        for kind, cell in rule.limits.items():
            good = _values(rule, every, kind, good=True)
            bad = _values(rule, every, kind, good=False)
            if cell.fail is None or not good:
                continue
            worst = min(good) if rule.direction == "at_least" else max(good)
            found.setdefault(rule.name, {})[str(kind)] = {
                "limit": cell.fail,
                "worst_good": worst,
                "median_of_medium_defects": float(np.median(bad)) if bad else None,
            }
    return found


def _values(rule: Rule, judged: list[Judged], kind: EditType, *, good: bool) -> list[float]:
    return [
        value
        for one in judged
        if one.edit_type == kind
        and one.good == good
        and (good or (AIMS.get(one.kind) == rule.name and one.strength in (None, 2)))
        and (value := one.checks.get(rule.name, ("", None))[1]) is not None
    ]


def _curve(rule: Rule, judged: list[Judged]) -> Curve | None:
    sign = 1.0 if rule.direction == "at_most" else -1.0
    scores, labels = [], []
    for one in judged:
        value = one.checks.get(rule.name, ("", None))[1]
        meant = not one.good and AIMS.get(one.kind) == rule.name and one.strength != 1
        if value is not None and (one.good or meant):
            scores.append(sign * value)
            labels.append(not one.good)
    if len(set(labels)) < 2:
        return None
    false_positives, recall, _ = roc_curve(labels, scores)
    return Curve(
        rule.name,
        false_positives.tolist(),
        recall.tolist(),
        float(roc_auc_score(labels, scores)),
        sum(labels),
        len(labels) - sum(labels),
    )
