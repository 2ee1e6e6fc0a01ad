"""Contact sheets: many pictures on one page, each with its name, some lines and how it went.

Pictures come one at a time and are shrunk at once, so that a sheet of a thousand never holds
more than one of them at full size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from serve_app.images.line_breaking import broken
from serve_app.images.mixed_text import Colour, draw_text, shortened, text_length
from serve_app.images.pixels import RGB

Tone = Literal["good", "warn", "bad", "plain"]

_LONGEST = 4_000
"""Longest side of a page, pixels, up to ``_MOST`` cells."""

_WIDE = 2_300
"""Width that a page keeps to, up to several hundred cells, pixels."""

_ENLARGED = 2.0
"""Small pictures are enlarged by no more than this."""

_PROPORTION = 1.4
"""Width over height that the columns are chosen for."""

_MARGIN, _HEAD = 28, 34
"""Around the page, and the height of the page's title, pixels."""

_INK, _FAINT, _PAPER, _EDGE = (28, 30, 34), (110, 116, 124), (250, 250, 248), (222, 222, 218)
_TONES: dict[Tone, Colour] = {
    "good": (30, 130, 76),
    "warn": (208, 132, 0),
    "bad": (190, 40, 44),
    "plain": _EDGE,
}


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One picture (height, width, 3) uint8 of a sheet, and the words below it."""

    picture: RGB
    title: str
    lines: tuple[str, ...] = ()
    tone: Tone = "plain"


def contact_sheet(
    title: str, cells: Sequence[Cell], columns: int | None = None, note: str = ""
) -> RGB:
    """Draw ``cells`` in a grid below ``title`` and ``note``; (height, width, 3) uint8.

    See ``contact_sheet_from``.
    """
    return contact_sheet_from(title, len(cells), cells.__getitem__, columns, note)


def contact_sheet_from(
    title: str,
    count: int,
    cell_at: Callable[[int], Cell],
    columns: int | None = None,
    note: str = "",
) -> RGB:
    """Draw ``count`` cells, asking ``cell_at`` (0, 1, …) for one at a time.

    All cells are equally large, with pictures of any aspect: none is stretched, or enlarged
    more than twice. The more cells, the smaller they are: a page of up to 1,000 has sides of at
    most 4,000 pixels. ``columns`` is what the grid has if that leaves it so; chosen if ``None``.
    Words that are too long for a cell end in dots.
    """
    style, wide = _layout(count, columns)
    drawn = [_shrunk(cell_at(number), style) for number in range(count)]
    return _page(title, note, drawn, style, wide)


# The layout.


@dataclass(frozen=True, slots=True)
class _Style:
    """Pixels: the longest side of a picture, the sizes of words, and how many lines there are."""

    side: int
    title: int
    words: int
    lines: int

    @property
    def gap(self) -> int:
        return max(10, self.side // 18)

    @property
    def row(self) -> int:
        """Height of a line of words."""
        return round(1.4 * self.words)

    @property
    def tallest(self) -> int:
        """Height of a cell at most, with the gap below it."""
        return self.side + _BAR + _title_height(self) + self.lines * self.row + self.gap


_BAR = 4
"""Height of the coloured edge below a picture, pixels."""

_STYLES = (
    _Style(420, 17, 14, 8),
    _Style(320, 16, 13, 7),
    _Style(240, 15, 13, 5),
    _Style(180, 13, 12, 3),
    _Style(128, 12, 11, 1),
    _Style(96, 11, 10, 0),
)
"""From the most roomy one to that of a thousand pictures."""


def _layout(count: int, columns: int | None) -> tuple[_Style, int]:
    """The most roomy style with which ``count`` cells stay on a page, and its columns."""
    for style in _STYLES:
        wide = _columns(count, columns, style, _WIDE)
        as_wished = columns is None or wide >= min(columns, count)
        if as_wished and _height(count, wide, style) <= _LONGEST:
            return style, wide
    style = _STYLES[-1]
    wide = _columns(count, columns, style, _LONGEST)
    if columns is not None and _height(count, wide, style) > _LONGEST:
        return _layout(count, None)
    return style, wide


def _columns(count: int, wished: int | None, style: _Style, width: int) -> int:
    fitting = max(1, (width - 2 * _MARGIN + style.gap) // (style.side + style.gap))
    if wished is None:
        proportion = _PROPORTION * style.tallest / (style.side + style.gap)
        wished = min(count, 5) if count <= 8 else math.ceil(math.sqrt(count * proportion))
        if count in (6, 7, 8):
            wished = -(-count // 2)  # two full rows look better than a row and a rest
    return max(1, min(wished, fitting, max(1, count)))


def _height(count: int, columns: int, style: _Style) -> int:
    return 2 * _MARGIN + 4 * _HEAD + -(-count // columns) * style.tallest


def _title_height(style: _Style) -> int:
    return round(1.9 * style.title)


# The cells.


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A cell as it will be on the page."""

    picture: RGB
    title: str
    lines: list[str]
    tone: Tone


def _shrunk(cell: Cell, style: _Style) -> _Drawn:
    room = style.side - (0 if cell.tone == "plain" else _tag_room(style))
    lines = [
        shortened(line, style.words, style.side)
        for text in cell.lines
        for line in broken(text, lambda it: text_length(it, style.words), style.side)
    ]
    if len(lines) > style.lines:
        lines = lines[: style.lines]
        if lines:
            lines[-1] = shortened(f"{lines[-1]} ...", style.words, style.side)
    title = shortened(" ".join(cell.title.split()), style.title, room)
    return _Drawn(_thumbnail(cell.picture, style.side), title, lines, cell.tone)


def _thumbnail(picture: RGB, side: int) -> RGB:
    height, width, _ = picture.shape
    scale = min(side / max(height, width), _ENLARGED)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _page(title: str, note: str, cells: Sequence[_Drawn], style: _Style, columns: int) -> RGB:
    """All cells are as high as the highest picture and the most lines ask for."""
    tall = max((it.picture.shape[0] for it in cells), default=0)
    lines = max((len(it.lines) for it in cells), default=0)
    cell_height = tall + _BAR + _title_height(style) + lines * style.row
    rows = -(-len(cells) // columns)
    width = max(columns * (style.side + style.gap) - style.gap, _STYLES[0].side) + 2 * _MARGIN
    room = width - 2 * _MARGIN
    notes = [shortened(line, 15, room) for line in _note_lines(note, room)]
    top = _MARGIN + _HEAD + 22 * len(notes) + (14 if notes else 8)
    height = top + rows * (cell_height + style.gap) - (style.gap if rows else 0) + _MARGIN
    page = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(page)
    draw_text(draw, (_MARGIN, _MARGIN - 4), shortened(title, 26, room), _INK, 26)
    for number, line in enumerate(notes):
        draw_text(draw, (_MARGIN, _MARGIN + _HEAD + 22 * number), line, _FAINT, 15)
    for cell, (row, column) in zip(cells, _places(len(cells), columns), strict=True):
        place = _MARGIN + column * (style.side + style.gap), top + row * (cell_height + style.gap)
        _draw_cell(page, draw, cell, place, (style, tall))
    return np.asarray(page)


def _note_lines(note: str, room: int) -> list[str]:
    return broken(note, lambda it: text_length(it, 15), room)[:3]


def _places(count: int, columns: int) -> Iterator[tuple[int, int]]:
    return (divmod(number, columns) for number in range(count))


def _draw_cell(
    page: Image.Image,
    draw: ImageDraw.ImageDraw,
    cell: _Drawn,
    place: tuple[int, int],
    size: tuple[_Style, int],
) -> None:
    """``place`` is the upper left of the cell, ``size`` its style and its picture's height."""
    left, top = place
    style, tall = size
    high, wide, _ = cell.picture.shape
    page.paste(
        Image.fromarray(cell.picture), (left + (style.side - wide) // 2, top + (tall - high) // 2)
    )
    below = top + tall + _BAR
    thick = 1 if cell.tone == "plain" else _BAR - 1
    edge = (left, below - thick, left + style.side - 1, below - 1)
    draw.rectangle(edge, _TONES[cell.tone])
    words = left
    if cell.tone != "plain":
        tag = _tag(cell.tone, round(0.95 * style.title))
        page.paste(tag, (left, below + round(0.42 * style.title)), tag)
        words += _tag_room(style)
    draw_text(draw, (words, below + round(0.35 * style.title)), cell.title, _INK, style.title)
    for number, line in enumerate(cell.lines):
        at = left, below + _title_height(style) + number * style.row
        draw_text(draw, at, line, _FAINT, style.words)


def _tag_room(style: _Style) -> int:
    return round(1.4 * style.title)


@cache
def _tag(tone: Tone, size: int) -> Image.Image:
    """A disc with a tick, a dash or a cross: tones differ in more than their colour."""
    big = 8 * size
    disc = Image.new("RGBA", (big, big), (*_TONES[tone], 0))
    draw = ImageDraw.Draw(disc)
    draw.ellipse((0, 0, big - 1, big - 1), _TONES[tone])
    marks: dict[Tone, tuple[tuple[tuple[float, float], ...], ...]] = {
        "good": (((0.27, 0.53), (0.44, 0.7), (0.74, 0.34)),),
        "warn": (((0.5, 0.22), (0.5, 0.58)), ((0.5, 0.7), (0.5, 0.78))),
        "bad": (((0.32, 0.32), (0.68, 0.68)), ((0.68, 0.32), (0.32, 0.68))),
        "plain": (),
    }
    for line in marks[tone]:
        draw.line([(x * big, y * big) for x, y in line], "white", round(0.12 * big), "curve")
    return disc.resize((size, size), Image.Resampling.LANCZOS)
