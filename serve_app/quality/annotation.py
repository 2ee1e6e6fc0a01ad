"""A picture of a judgement: original, edited, where they differ, and what is wrong there."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from serve_app.images.pixels import RGB
from serve_app.quality.case import Case
from serve_app.quality.report import Check, CheckStatus, Report, Verdict
from serve_app.quality.validator import Validator

_PANEL = 480
"""Longest side of a panel, pixels; small pictures are enlarged to it, large ones shrunk."""

_GAP, _MARGIN = 16, 24
_INK, _FAINT, _PAPER = (28, 30, 34), (110, 116, 124), (250, 250, 248)
_COLOURS = {
    Verdict.PASS: (30, 130, 76),
    Verdict.PASS_UNVERIFIED: (176, 120, 16),
    Verdict.FAIL: (190, 40, 44),
}
_WORDS = {
    Verdict.PASS: "PASS",
    Verdict.PASS_UNVERIFIED: "PASS, UNVERIFIED",
    Verdict.FAIL: "FAIL",
}
_BOX_COLOURS = {CheckStatus.FAIL: (220, 40, 44), CheckStatus.WARN: (232, 160, 24)}
_STRONGEST = 40.0
"""CIE76 distance drawn in the last colour of the map: two unlike colours."""

_COLUMNS = 150
"""Characters on a line of reasons."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A report, and the annotated picture as PNG if it was asked for."""

    report: Report
    picture: bytes | None = None


def judge(validator: Validator, case: Case, picture: bool) -> Judged:
    """Judge ``case``, and draw what was found if ``picture``."""
    judgement = validator.examine(case)
    if not picture:
        return Judged(judgement.report)
    subject = judgement.subject
    drawn = annotated(case.original, case.edited, subject.change.delta_e, judgement.report)
    encoded = io.BytesIO()
    Image.fromarray(drawn).save(encoded, "PNG")
    return Judged(judgement.report, encoded.getvalue())


def annotated(original: RGB, edited: RGB, delta_e: NDArray[np.float32], report: Report) -> RGB:
    """Draw three panels, the verdict above and the reasons below; (height, width, 3) uint8.

    ``original`` and ``edited`` (height, width, 3) may differ in size, ``delta_e`` (height,
    width) is their CIE76 distance on any canvas of the original's proportions. Boxes of failed
    checks and of warnings are drawn on the edited panel.
    """
    size = _panel_size(original)
    panels = (
        ("original", _fitted(original, size)),
        ("edited", _boxed(_fitted(edited, size), original, report)),
        ("changes", _heat(_fitted(original, size), delta_e)),
    )
    width, height = size
    lines = [line for reason in report.reasons for line in textwrap.wrap(reason, _COLUMNS)]
    full = 3 * width + 2 * _GAP + 2 * _MARGIN
    page_width = max(full, 900)
    page = Image.new("RGB", (page_width, height + 120 + 22 * len(lines) + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((_MARGIN, 18), _WORDS[report.verdict], _COLOURS[report.verdict], _font(26))
    beside = _MARGIN + draw.textlength(_WORDS[report.verdict], _font(26)) + 16
    draw.text((beside, 26), _summary(report.checks), _FAINT, _font(16))
    left = (page_width - full) // 2 + _MARGIN
    for number, (name, panel) in enumerate(panels):
        x = left + number * (width + _GAP)
        draw.text((x, 62), name, _FAINT, _font(15))
        page.paste(Image.fromarray(panel), (x, 84))
    for number, line in enumerate(lines):
        draw.text((_MARGIN, height + 104 + 22 * number), line, _INK, _font(15))
    return np.asarray(page)


def _summary(checks: Sequence[Check]) -> str:
    """How many checks came to what, in words."""
    counts = {status: sum(check.status is status for check in checks) for status in CheckStatus}
    told = (CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.PASS)
    words = {CheckStatus.FAIL: "failed", CheckStatus.WARN: "warned", CheckStatus.PASS: "passed"}
    parts = [f"{counts[status]} {words[status]}" for status in told if counts[status]]
    undecided = counts[CheckStatus.SKIPPED] + counts[CheckStatus.UNSUPPORTED]
    return ", ".join([*parts, *([f"{undecided} not decided"] if undecided else [])])


def _panel_size(original: RGB) -> tuple[int, int]:
    height, width, _ = original.shape
    scale = _PANEL / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _fitted(pixels: RGB, size: tuple[int, int]) -> RGB:
    """At the size of a panel: shrunk smoothly, enlarged so that pixels can be seen."""
    larger = size[0] > pixels.shape[1]
    method = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(pixels).resize(size, method))


def _heat(original: RGB, delta_e: NDArray[np.float32]) -> RGB:
    """The map of changes over a faint, grey original."""
    height, width, _ = original.shape
    strength = cv2.resize(np.clip(delta_e / _STRONGEST, 0.0, 1.0), (width, height))
    levels = (255 * strength).round().astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    grey = cv2.cvtColor(cv2.cvtColor(original, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    # From what is just noticeable on, the colour covers; below it the picture shows through.
    cover = np.clip(strength * 4.0, 0.0, 1.0)[..., None]
    faint = 70 + 0.35 * grey.astype(np.float32)
    heat: RGB = (cover * colours + (1 - cover) * faint).round().astype(np.uint8)
    return heat


def _boxed(panel: RGB, original: RGB, report: Report) -> RGB:
    """Boxes of what failed and warned, with the names of their checks."""
    image = Image.fromarray(panel)
    draw = ImageDraw.Draw(image)
    scale = panel.shape[1] / original.shape[1]
    for check in reversed(report.checks):  # the gravest last, on top
        colour = _BOX_COLOURS.get(check.status)
        if colour is None:
            continue
        for box in check.evidence.get("boxes", ()):
            left, top, right, bottom = (round(edge * scale) for edge in box)
            draw.rectangle((left, top, max(left + 2, right), max(top + 2, bottom)), None, colour, 2)
            label = check.name.replace("_", " ")
            length = draw.textlength(label, _font(13))
            above = max(0, top - 18)
            draw.rectangle((left, above, left + length + 8, above + 17), colour)
            draw.text((left + 4, above), label, "white", _font(13))
    return np.asarray(image)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
