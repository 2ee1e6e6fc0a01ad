"""Words on our own pictures, in any script: each character in the first font that has it.

Pillow's own font draws Latin letters. For others the fonts of the machine are asked, if it has
any; a character that none has becomes a question mark.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path

from PIL import ImageDraw

from serve_app.errors import InvalidRequest
from serve_app.images.fonts import Font, find_font, font_names

Colour = tuple[int, int, int]

_SYSTEM_FONTS = Path("/usr/share/fonts")
_PREFERRED = (
    "DejaVuSans",
    "NotoSans-Regular",
    "NotoSansCJK-Regular",
    "NanumGothic",
    "wqy-microhei",
    "wqy-zenhei",
)
"""Fonts of the machine that are asked, in this order: Latin and Greek, Korean, Chinese."""

_UNKNOWN = "?"
_LONGEST = 2_000
"""Characters of a text that are looked at: no line of a picture holds more."""


def text_length(text: str, size: int) -> float:
    """Return how wide ``text`` is at an em of ``size`` pixels."""
    return sum(font.at(size).getlength(part) for font, part in _parts(text))


def draw_text(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, colour: Colour, size: int
) -> None:
    """Write ``text`` in one line; ``place`` (left, top) is where an ascender would begin."""
    left, top = place
    base = top + round(0.95 * size)  # one baseline, whatever ascent each font declares
    for font, part in _parts(text):
        sized = font.at(size)
        draw.text((left, base), part, colour, sized, anchor="ls")
        left += sized.getlength(part)


def shortened(text: str, size: int, width: float) -> str:
    """Return ``text``, or as much of it as fits into ``width`` pixels, and then dots."""
    if text_length(text, size) <= width:
        return text
    low, high = 0, min(len(text), _LONGEST)
    while low < high:
        middle = (low + high + 1) // 2
        if text_length(f"{text[:middle].rstrip()}...", size) <= width:
            low = middle
        else:
            high = middle - 1
    return f"{text[:low].rstrip()}..."


@lru_cache(maxsize=1024)
def _parts(text: str) -> tuple[tuple[Font, str], ...]:
    """``text`` in runs of one font each."""
    if text.isascii() and text.isprintable():
        return ((_fonts()[0], text[:_LONGEST]),)
    composed = unicodedata.normalize("NFC", text[:_LONGEST])
    chosen = [_chosen(character) for character in composed]
    runs = groupby(chosen, key=lambda it: it[0])
    return tuple((font, "".join(character for _, character in run)) for font, run in runs)


@lru_cache(maxsize=8192)
def _chosen(character: str) -> tuple[Font, str]:
    """The font for ``character``, and what it draws."""
    if character.isspace() or unicodedata.category(character) in ("Cc", "Cf"):
        return _fonts()[0], " "
    for font in _fonts():
        if not font.lacks(character):
            return font, character
    return _fonts()[0], _UNKNOWN


@cache
def _fonts() -> tuple[Font, ...]:
    """Pillow's own font, and what the machine has of ``_PREFERRED``."""
    present = {name.casefold() for name in font_names(_SYSTEM_FONTS)}
    fonts = [find_font(None, None)]
    for name in _PREFERRED:
        if name.casefold() in present:
            try:
                fonts.append(find_font(_SYSTEM_FONTS, name))
            except InvalidRequest:
                continue  # a broken file: the next font may have the character
    return tuple(fonts)
