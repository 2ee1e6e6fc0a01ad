"""Mending an edit rather than making it again: what registration, mask and colour can undo.

A new attempt costs a GPU's seconds and may fail otherwise; these cost a CPU's tenths. What was
mended is judged again like everything else, and kept only if it is better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np

from serve_app.images.compositing import composite, feather_radius
from serve_app.images.pixels import RGB
from serve_app.quality.case import Case
from serve_app.quality.registration import align
from serve_app.quality.report import CheckStatus, Report
from serve_app.quality.validator import Judgement, Validator


class Repair(StrEnum):
    """One thing that was mended, in the words of records and metrics."""

    DRIFT_WARPED_BACK = "drift_warped_back"
    SPILL_COMPOSITED = "spill_composited"
    CAST_MATCHED = "cast_matched"


@dataclass(frozen=True, slots=True, eq=False)
class Mended:
    """The judgement after repairs: ``pixels`` is ``None`` where nothing was changed.

    ``first`` is the report on what came in; it is ``report`` if nothing was mended. Mended
    pixels have the original's size.
    """

    report: Report
    first: Report
    repairs: tuple[Repair, ...] = ()
    pixels: RGB | None = None


def mend(validator: Validator, case: Case) -> Mended:
    """Judge ``case``, repair what can be, and judge again; the better of both is the answer."""
    judgement = validator.examine(case)
    first = judgement.report
    repairs = [(repair, change) for name, repair, change in _REPAIRS if _missed(first, name)]
    if not repairs or _HOPELESS & set(first.failed) or not _sized_alike(case):
        return Mended(first, first)
    mended = case.edited
    for _, change in repairs:
        mended = change(judgement, mended)
    report = validator.judge(replace(case, edited=mended))
    if report.severity >= first.severity:
        return Mended(first, first)
    return Mended(report, first, tuple(repair for repair, _ in repairs), mended)


def warp_back(judgement: Judgement, edited: RGB) -> RGB:
    """``edited`` with its drift undone; what the warp uncovers is the original's."""
    subject = judgement.subject
    original = subject.case.original
    aligned, valid = align(edited, subject.full_transform)
    return np.where(valid[..., None], aligned, original)


def restore_protected(judgement: Judgement, edited: RGB) -> RGB:
    """``edited`` inside its mask and feather, the original's bytes elsewhere."""
    case = judgement.subject.case
    if case.mask is None:
        return edited
    height, width, _ = case.original.shape
    return composite(case.original, edited, case.mask, feather_radius(width, height))


def match_cast(judgement: Judgement, edited: RGB) -> RGB:
    """``edited`` without the median shift in Lab that what was kept has from the original."""
    lab = cv2.cvtColor(edited.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    lab -= judgement.subject.lab_shift
    rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    matched: RGB = (rgb * 255.0).round().clip(0, 255).astype(np.uint8)
    return matched


_REPAIRS: tuple[tuple[str, Repair, Callable[[Judgement, RGB], RGB]], ...] = (
    ("drift", Repair.DRIFT_WARPED_BACK, warp_back),
    ("cast", Repair.CAST_MATCHED, match_cast),
    ("outside_mask", Repair.SPILL_COMPOSITED, restore_protected),
)
"""By the check that asks for it, in the order in which they build on each other."""


_HOPELESS = frozenset({"finite", "collapse", "no_op"})
"""Failures beside which a repair would only dress up what has to be made again."""


def _missed(report: Report, name: str) -> bool:
    """Whether a check failed or warns: a small drift is as easily undone as a large one."""
    check = report.check(name)
    return check is not None and check.status in (CheckStatus.FAIL, CheckStatus.WARN)


def _sized_alike(case: Case) -> bool:
    """A result at another size was asked for so: it is not brought back to the original's."""
    return case.edited.shape == case.original.shape
