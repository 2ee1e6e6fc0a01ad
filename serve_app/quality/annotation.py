"""A picture of a judgement: original, edited, where they differ, and what is wrong there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from serve_app.images.encoding import encode
from serve_app.images.masks import Box
from serve_app.images.pixels import RGB
from serve_app.quality.case import Case
from serve_app.quality.heat_map import STRONGEST, heat_map, legend
from serve_app.quality.registration import IDENTITY, Affine
from serve_app.quality.report import OPEN, Check, CheckStatus, Report, Verdict
from serve_app.quality.validator import Validator

Colour = tuple[int, int, int]
Line = list[tuple[int, str, Colour]]
"""Words of one line, each with its distance from the left margin, pixels."""

_PANEL = 480
"""Longest side of a panel, pixels; small pictures are enlarged to it, large ones shrunk."""

_COLUMN = 276
"""Least width of a panel with its caption, pixels: strips have narrow panels."""

_GAP, _MARGIN, _LINE, _LABEL = 16, 24, 22, 17
"""Between panels, around the page, and the heights of a line and of a box's name, pixels."""

_CAPTIONS, _PANELS = 62, 84
"""Where these rows begin, pixels from the top."""

_INK, _FAINT, _PAPER = (28, 30, 34), (110, 116, 124), (250, 250, 248)
_TITLES: dict[Verdict, tuple[str, Colour]] = {
    Verdict.PASS: ("PASS", (30, 130, 76)),
    Verdict.PASS_UNVERIFIED: ("PASS, UNVERIFIED", (176, 120, 16)),
    Verdict.FAIL: ("FAIL", (190, 40, 44)),
}
_MISSED: dict[CheckStatus, Colour] = {
    CheckStatus.FAIL: (220, 40, 44),
    CheckStatus.WARN: (208, 132, 0),
}
_BOUNDS = {"at_least": "at least", "at_most": "at most"}


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A report, and the annotated picture as PNG if it was asked for."""

    report: Report
    picture: bytes | None = None


def judge(validator: Validator, case: Case, picture: bool) -> Judged:
    """Judge ``case``, and draw what was found if ``picture``."""
    judgement = validator.examine(case)
    report, subject = judgement.report, judgement.subject
    if not picture:
        return Judged(report)
    delta_e, moved = subject.change.delta_e, subject.full_transform
    return Judged(report, encode(annotated(case.original, case.edited, delta_e, report, moved)))


def annotated(
    original: RGB,
    edited: RGB,
    delta_e: NDArray[np.float32],
    report: Report,
    moved: Affine = IDENTITY,
) -> RGB:
    """Draw three panels, the verdict above and the reasons below; (height, width, 3) uint8.

    ``original`` and ``edited`` (height, width, 3) may differ in size, ``delta_e`` (height,
    width) is their CIE76 distance on any canvas of the original's proportions. What failed or
    warned is boxed on the edited panel, where ``moved`` (2, 3) takes pixels of the original.
    """
    width, height = size = _panel_size(original)
    column = max(width, _COLUMN)
    page_width = 3 * column + 2 * _GAP + 2 * _MARGIN
    missed = _gravest_first(report.checks)
    room = page_width - 2 * _MARGIN
    lines = [*_figures(missed, room), *(line for it in report.reasons for line in _lines(it, room))]
    below = _PANELS + height + _GAP
    page = Image.new("RGB", (page_width, below + _LINE * len(lines) + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(page)
    _draw_title(draw, report)

    before, after = _fitted(original, size), _fitted(edited, size)
    scale = width / original.shape[1]
    panels = (before, _boxed(after, column, missed, scale, moved), heat_map(before, delta_e))
    captions = (f"original, {_size(original)}", f"edited, {_size(edited)}", "changes")
    lefts = [_MARGIN + number * (column + _GAP) for number in range(3)]
    for left, caption, panel in zip(lefts, captions, panels, strict=True):
        draw.text((left, _CAPTIONS), caption, _FAINT, _font(15))
        page.paste(Image.fromarray(panel), (left, _PANELS))
    _draw_legend(page, draw, lefts[2] + column)

    for number, line in enumerate(lines):
        for left, words, colour in line:
            draw.text((_MARGIN + left, below + _LINE * number), words, colour, _font(15))
    return np.asarray(page)


def _gravest_first(checks: Sequence[Check]) -> list[Check]:
    """What failed and then what warned, each in the order of the report."""
    return [check for status in _MISSED for check in checks if check.status is status]


# Words.


def _draw_title(draw: ImageDraw.ImageDraw, report: Report) -> None:
    word, colour = _TITLES[report.verdict]
    draw.text((_MARGIN, 18), word, colour, _font(26))
    beside = _MARGIN + draw.textlength(word, _font(26)) + _GAP
    draw.text((beside, 26), _summary(report.checks), _FAINT, _font(16))


def _summary(checks: Sequence[Check]) -> str:
    """How many checks came to what, in words."""
    told = (
        ("failed", {CheckStatus.FAIL}),
        ("warned", {CheckStatus.WARN}),
        ("passed", {CheckStatus.PASS}),
        ("not decided", OPEN),
    )
    counts = ((sum(check.status in which for check in checks), word) for word, which in told)
    return ", ".join(f"{count} {word}" for count, word in counts if count)


def _draw_legend(page: Image.Image, draw: ImageDraw.ImageDraw, right: int) -> None:
    """What the colours of the map mean, ending at ``right``."""
    words = f"{STRONGEST:g} dE"
    right -= round(draw.textlength(words, _font(13)))
    draw.text((right, _CAPTIONS + 2), words, _FAINT, _font(13))
    bar = legend(80, 8)
    page.paste(Image.fromarray(bar), (right - 86, _CAPTIONS + 6))
    draw.text((right - 92, _CAPTIONS + 2), "0", _FAINT, _font(13), anchor="ra")


def _figure(check: Check) -> str:
    """The number that decided, beside its limit."""
    if check.value is None or check.threshold is None or check.direction is None:
        return _label(check)
    bound = _BOUNDS[check.direction]
    return f"{_label(check)} {check.value:.3g}, {bound} {check.threshold:g}"


def _label(check: Check) -> str:
    return check.name.replace("_", " ")


def _size(pixels: RGB) -> str:
    height, width, _ = pixels.shape
    return f"{width} x {height}"


def _figures(missed: Sequence[Check], width: int) -> Iterator[Line]:
    """The figures of what was missed, side by side in lines of at most ``width`` pixels."""
    line: Line = []
    left = 0
    for check in missed:
        words = _figure(check)
        length = round(_font(15).getlength(words))
        if line and left + length > width:
            yield line
            line, left = [], 0
        line.append((left, words, _MISSED[check.status]))
        left += length + 2 * _GAP
    if line:
        yield line


def _lines(text: str, width: int) -> Iterator[Line]:
    """``text`` in lines of at most ``width`` pixels, unless a word alone is longer."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}".lstrip()
        if line and _font(15).getlength(longer) > width:
            yield [(0, line, _INK)]
            longer = word
        line = longer
    if line:
        yield [(0, line, _INK)]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which has ASCII and hardly more: no words of users are drawn."""
    return ImageFont.load_default(size)


# Pictures.


def _panel_size(original: RGB) -> tuple[int, int]:
    height, width, _ = original.shape
    scale = _PANEL / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _fitted(pixels: RGB, size: tuple[int, int]) -> RGB:
    """At the size of a panel: shrunk smoothly, enlarged so that pixels can be seen."""
    larger = size[0] > pixels.shape[1]
    method = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(pixels).resize(size, method))


def _boxed(panel: RGB, column: int, missed: Sequence[Check], scale: float, moved: Affine) -> RGB:
    """The panel, ``column`` pixels wide, with a box around all that each of ``missed`` found.

    A check is named once, at its first box; a name may reach into the room beside the panel.
    """
    cell = Image.new("RGB", (column, panel.shape[0]), _PAPER)
    cell.paste(Image.fromarray(panel))
    draw = ImageDraw.Draw(cell)
    found = [
        (check, [_on_panel(box, scale, moved) for box in check.evidence.get("boxes", ())])
        for check in missed
    ]
    for check, boxes in reversed(found):  # the gravest last, on top
        for box in boxes:
            draw.rectangle(box, None, _MISSED[check.status], 2)
    taken: list[Box] = []
    for check, boxes in found:
        if not boxes:
            continue
        label = _label(check)
        length = round(draw.textlength(label, _font(13))) + 8
        place = _free_place(boxes[0], length, cell.size, taken)
        taken.append(place)
        draw.rectangle(place, _MISSED[check.status])
        draw.text((place.left + 4, place.top), label, "white", _font(13))
    return np.asarray(cell)


def _on_panel(box: Sequence[float], scale: float, moved: Affine) -> Box:
    """The box of the original, in pixels of the edited panel."""
    left, top, right, bottom = box
    corners = np.array([[left, top, 1], [right, top, 1], [left, bottom, 1], [right, bottom, 1]])
    x, y = moved @ corners.T * scale
    low = round(x.min()), round(y.min())
    return Box(*low, max(low[0] + 2, round(x.max())), max(low[1] + 2, round(y.max())))


def _free_place(box: Box, length: int, size: tuple[int, int], taken: Sequence[Box]) -> Box:
    """Where a label of ``length`` pixels goes: above ``box``, or below labels that are there."""
    width, height = size
    left = min(max(0, box.left), max(0, width - length))
    top = min(max(0, box.top - _LABEL), max(0, height - _LABEL))
    for other in sorted(taken, key=lambda it: it.top):
        beside = left >= other.right or left + length <= other.left
        if not beside and other.top - _LABEL < top < other.bottom:
            top = other.bottom + 1
    return Box(left, top, left + length, top + _LABEL)
