"""A picture of an analysis: the verdict, a row for each variant, what limits it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from serve_app.workflows.ab_tests.ab_test import Arm
from serve_app.workflows.ab_tests.analysis import Analysis
from serve_app.workflows.ab_tests.plot import PAPER, Colour, place, plotted, scale_of, ticks_of
from serve_app.workflows.ab_tests.verdict import LEADING_P_BEST, Verdict
from serve_app.workflows.ab_tests.wording import chance, percent, points, probability, rate

_WIDTH, _MARGIN, _GAP = 1240, 40, 24
"""Of the page and around it, and between columns, pixels."""

_NAMES, _PLOT, _RATES, _BEST = 220, 460, 150, 90
"""Widths of columns, pixels; the last one has the rest."""

_SAID = 90
"""Where the recommendation begins, pixels from the top."""

_ROW, _LINE, _NOTE = 84, 25, 20
"""Heights of a row, of a line of the recommendation and of one of the notes, pixels."""

_INK: Colour = (28, 30, 34)
_FAINT: Colour = (110, 116, 124)
_RULE: Colour = (206, 206, 202)
_BLUE: Colour = (54, 104, 170)
_GREEN: Colour = (30, 130, 76)
_RED: Colour = (190, 40, 44)
_AMBER: Colour = (176, 120, 16)

_TITLE = "Analysis of an A/B test"
"""Written into the file, to know it again."""

_RELATION = re.compile(r" ([=<]) ")
"""Stays on one line with its sides."""

_TITLES: dict[Verdict, tuple[str, Colour]] = {
    Verdict.SRM_FAILED: ("BROKEN SPLIT", _RED),
    Verdict.INSUFFICIENT_DATA: ("NOT ENOUGH DATA YET", _AMBER),
    Verdict.NO_DIFFERENCE_DETECTED: ("NO DIFFERENCE DETECTED", _FAINT),
    Verdict.LEADING: ("LEADING, NOT DECIDED", _AMBER),
    Verdict.WINNER: ("WINNER", _GREEN),
}


def drawn(analysis: Analysis) -> bytes:
    """The picture as PNG."""
    arms = analysis.test.arms
    room = _WIDTH - 2 * _MARGIN
    said = list(_lines(analysis.recommendation, room, 18))
    notes = [
        line for caveat in analysis.caveats for line in _lines(caveat.replace("`", ""), room, 14)
    ]
    heading = _SAID + _LINE * len(said) + 16
    top = heading + 30
    axis = top + _ROW * len(arms)
    below = axis + 62
    page = Image.new("RGB", (_WIDTH, below + _NOTE * len(notes) + 24), PAPER)
    draw = ImageDraw.Draw(page)
    _draw_title(draw, analysis)
    for number, line in enumerate(said):
        draw.text((_MARGIN, _SAID + _LINE * number), line, _INK, _font(18))
    _draw_headings(draw, analysis, heading)
    colours = [_colour(analysis, arm) for arm in arms]
    left = _MARGIN + _NAMES + _GAP
    page.paste(plotted(analysis, (_PLOT, _ROW * len(arms)), colours), (left, top))
    for number, (arm, colour) in enumerate(zip(arms, colours, strict=True)):
        _draw_row(draw, analysis, arm, colour, top + _ROW * number)
    _draw_axis(draw, analysis, left, axis)
    for number, line in enumerate(notes):
        draw.text((_MARGIN, below + _NOTE * number), line, _FAINT, _font(14))
    return _png(page)


def is_analysis(file: Path) -> bool:
    """Whether ``file`` is a picture that ``drawn`` made; raises ``OSError`` if it can't be read."""
    with file.open("rb") as read:
        # Not opened as a picture: anything may be there. Pillow writes the title at the beginning.
        return f"tEXtTitle\0{_TITLE}".encode() in read.read(1024)


def _png(page: Image.Image) -> bytes:
    described = PngInfo()
    described.add_text("Title", _TITLE)
    buffer = io.BytesIO()
    page.save(buffer, "PNG", pnginfo=described)
    return buffer.getvalue()


def _draw_title(draw: ImageDraw.ImageDraw, analysis: Analysis) -> None:
    word, colour = _TITLES[analysis.verdict]
    if analysis.verdict is Verdict.LEADING and max(analysis.p_best.values()) < LEADING_P_BEST:
        word = "NOT DECIDED"  # nobody leads, but something was found
    if analysis.winner is not None:
        word = _fitting(f"{word}: {analysis.winner}", _WIDTH - 2 * _MARGIN, 30)
    draw.text((_MARGIN, 22), word, colour, _font(30))
    test = analysis.test
    about = f"{test.metric} of {test.unit}, control: {test.control}"
    draw.text((_MARGIN, 60), about, _FAINT, _font(15))


def _draw_headings(draw: ImageDraw.ImageDraw, analysis: Analysis, top: int) -> None:
    confidence = percent(1 - analysis.test.significance)
    names, plot, rates, best, control = _columns()
    for left, words in (
        (names, "variant"),
        (plot, f"posterior of the rate, and its {confidence} interval"),
        (rates, f"rate, {confidence} interval"),
        (best, "P(best)"),
        (control, "against control"),
    ):
        draw.text((left, top), words, _FAINT, _font(14))
    draw.line((_MARGIN, top + 24, _WIDTH - _MARGIN, top + 24), _RULE)


def _draw_row(
    draw: ImageDraw.ImageDraw, analysis: Analysis, arm: Arm, colour: Colour, top: int
) -> None:
    """Two lines in each column, in the middle of the row."""
    names, _, rates, best, control = _columns()
    low, high = analysis.intervals[arm.name]
    compared = next((one for one in analysis.comparisons if one.variant == arm.name), None)
    believed = analysis.p_best.get(arm.name)
    against = ("", "")
    if arm.name == analysis.test.control:
        against = ("control", "")
    elif compared is not None:
        against = (
            f"{points(compared.difference)} points",
            f"p {probability(compared.p_corrected)}",
        )
    cells = (
        (names, (_fitting(arm.name, _NAMES, 18), f"{arm.successes:,} of {arm.trials:,}")),
        (rates, (rate(arm.rate), f"{rate(low)} to {rate(high)}")),
        (best, ("" if believed is None else chance(believed), "")),
        (control, against),
    )
    for left, (first, second) in cells:
        main = colour if left in (names, control) else _INK
        draw.text((left, top + 20), first, main, _font(18))
        draw.text((left, top + 45), second, _FAINT, _font(14))
    draw.line((_MARGIN, top + _ROW, _WIDTH - _MARGIN, top + _ROW), _RULE)


def _draw_axis(draw: ImageDraw.ImageDraw, analysis: Analysis, left: int, top: int) -> None:
    scale = scale_of(analysis.test.arms)
    taken = float("-inf")
    for tick in ticks_of(scale):
        x = left + place(tick, scale, _PLOT)
        words = percent(tick)
        half = _font(14).getlength(words) / 2
        if x - half > taken:
            draw.text((x, top + 8), words, _FAINT, _font(14), anchor="ma")
            taken = x + half + 8
    control = left + place(analysis.test.control_arm.rate, scale, _PLOT)
    draw.text((control, top + 28), "control", _FAINT, _font(14), anchor="ma")


def _columns() -> tuple[int, int, int, int, int]:
    """Where the columns begin, pixels from the left."""
    plot = _MARGIN + _NAMES + _GAP
    rates = plot + _PLOT + _GAP
    best = rates + _RATES + _GAP
    return _MARGIN, plot, rates, best, best + _BEST + _GAP


def _colour(analysis: Analysis, arm: Arm) -> Colour:
    """Green and red for what is significant, unless it may not be concluded."""
    if arm.name == analysis.winner:
        return _GREEN
    if arm.name == analysis.test.control:
        return _FAINT
    compared = next((one for one in analysis.comparisons if one.variant == arm.name), None)
    if compared is None or not analysis.size.reached or not compared.significant:
        return _BLUE
    return _GREEN if compared.better else _RED


def _lines(text: str, width: int, size: int) -> Iterator[str]:
    """``text`` in lines of at most ``width`` pixels, unless a word alone is longer."""
    line = ""
    for word in _RELATION.sub(r"~\1~", text).split():
        longer = f"{line} {word}".lstrip()
        if line and _font(size).getlength(longer) > width:
            yield line.replace("~", " ")
            longer = word
        line = longer
    if line:
        yield line.replace("~", " ")


def _fitting(text: str, width: int, size: int) -> str:
    """``text``, its middle left out if it is longer than ``width`` pixels."""
    if _font(size).getlength(text) <= width:
        return text
    kept = len(text)
    while kept > 2 and _font(size).getlength(_shortened(text, kept)) > width:
        kept -= 1
    return _shortened(text, kept)


def _shortened(text: str, kept: int) -> str:
    return f"{text[: kept - kept // 3]}...{text[-(kept // 3) :]}"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which has ASCII and hardly more; names of variants are ASCII."""
    return ImageFont.load_default(size)
