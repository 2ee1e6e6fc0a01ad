"""Captions, set and not imagined: a band along an edge of a picture, with words on it.

Words are as large as the picture lets them and never reach out of the band. Their colour is
black or white, whichever contrasts more with the band: by WCAG 2.2 at least 4.5 to 1, which one
of the two reaches on every colour.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from serve_app.errors import InvalidRequest
from serve_app.images.fonts import Font
from serve_app.images.line_breaking import broken
from serve_app.images.pixels import RGB

Colour = tuple[int, int, int]
Place = Literal["top", "bottom"]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)

_HIGHEST = 0.2
"""Height of the band at most, as a share of the picture's."""

_LARGEST = (0.06, 0.11)
"""Largest em, as shares of the picture's width and height."""

_SMALLEST, _SMALLEST_SHARE = 10, 0.022
"""Smallest readable em: pixels, and as a share of the picture's shorter side."""

_LEADING = 1.25
"""From line to line, ems."""

_ABOVE, _BESIDE = 0.55, 0.8
"""Room between the words and the edges of the band, ems."""

_SCRIM = 0.62
"""How much of the picture a band without a colour hides: white on it keeps 5 to 1 on white."""


def draw_caption(
    pixels: RGB,
    text: str,
    font: Font,
    position: Place = "bottom",
    colours: Sequence[Colour] = (),
) -> RGB:
    """Return ``pixels`` (height, width, 3) with ``text`` on a band at the top or bottom.

    The band has the first of ``colours``, or darkens the picture if there is none; it takes at
    most a fifth of the height. Text without a character is not drawn. Raises ``InvalidRequest``
    (``caption``) if the text is too long even at the smallest readable size, or the font lacks
    a character of it.
    """
    if not text.strip():
        return pixels
    text = unicodedata.normalize("NFC", text)  # fonts have composed letters and syllables
    lacking = font.lacks(text)
    if lacking:
        raise InvalidRequest(
            f"The font {font.name!r} can't draw {lacking[:10]!r}: set `brand.font` to one that "
            "can, or change the caption.",
            "caption",
        )
    set_text = _set(text, font, pixels.shape)
    height = pixels.shape[0]
    top = 0 if position == "top" else height - set_text.height
    drawn = pixels.copy()
    band = drawn[top : top + set_text.height]
    if colours:
        band[:] = colours[0]
        ink = ink_on(colours[0])
    else:
        band[:] = np.rint(band * (1.0 - _SCRIM)).astype(np.uint8)
        ink = WHITE
    image = Image.fromarray(band)
    _write(image, set_text, ink)
    band[:] = np.asarray(image)
    return drawn


def fits(text: str, font: Font, width: int, height: int) -> bool:
    """Whether ``text`` can be written readably on a picture of this size, in pixels."""
    text = unicodedata.normalize("NFC", text)
    return _at(text, font, _smallest((width, height)), (width, height)) is not None


def ink_on(colour: Colour) -> Colour:
    """Return black or white, whichever contrasts more with ``colour``."""
    return max((WHITE, BLACK), key=lambda ink: contrast(ink, colour))


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of WCAG 2.2, 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    """Relative luminance of sRGB as in WCAG 2.2, 0 to 1."""
    channels = (value / 255.0 for value in colour)
    linear = [it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@dataclass(frozen=True, slots=True)
class _Set:
    """Lines in a font of a size, on a band of ``height`` pixels."""

    lines: list[str]
    font: ImageFont.FreeTypeFont
    em: int
    height: int


def _set(text: str, font: Font, shape: tuple[int, ...]) -> _Set:
    """The largest setting of ``text`` that fits into a picture of ``shape`` (height, width, …)."""
    height, width = shape[:2]
    smallest = _smallest((width, height))
    largest = max(smallest, round(min(_LARGEST[0] * width, _LARGEST[1] * height)))
    em = largest
    while em >= smallest:
        fitting = _at(text, font, em, (width, height))
        if fitting is not None:
            return fitting
        em = min(em - 1, round(0.94 * em))
    raise InvalidRequest(
        f"The caption is too long for a picture of {width}x{height}: shorten it.", "caption"
    )


def _smallest(size: tuple[int, int]) -> int:
    """The smallest em that can be read on a picture of ``size``."""
    return max(_SMALLEST, round(_SMALLEST_SHARE * min(size)))


def _at(text: str, font: Font, em: int, size: tuple[int, int]) -> _Set | None:
    """``text`` with this ``em``, in lines of about one length; ``None`` if it does not fit."""
    width, height = size
    sized = font.at(em)
    room = width - 2 * _BESIDE * em
    most = 1 + (_HIGHEST * height / em - 2 * _ABOVE - 1) / _LEADING
    if sum(sized.getlength(it) for it in text.splitlines()) > most * room:
        return None
    lines = broken(text, sized.getlength, room)
    band = round((2 * _ABOVE + 1 + _LEADING * (len(lines) - 1)) * em)
    if band > _HIGHEST * height or any(_extent(sized, line) > room for line in lines):
        return None
    return _Set(_balanced(text, sized, room, lines), sized, em, band)


def _balanced(text: str, sized: ImageFont.FreeTypeFont, room: float, lines: list[str]) -> list[str]:
    """As many lines as ``lines``, in the least width that needs no more."""
    low, high = 0.0, room
    while high - low > max(1.0, 0.01 * room):
        middle = (low + high) / 2
        narrower = broken(text, sized.getlength, middle)
        if len(narrower) == len(lines) and all(_extent(sized, it) <= middle for it in narrower):
            lines, high = narrower, middle
        else:
            low = middle
    return lines


def _extent(sized: ImageFont.FreeTypeFont, line: str) -> float:
    """How wide ``line`` is: its advance, or its ink if that is wider."""
    left, _, right, _ = sized.getbbox(line, anchor="ls")
    return max(sized.getlength(line), right - min(0.0, left))


def _write(band: Image.Image, words: _Set, ink: Colour) -> None:
    """Write the lines in the middle of ``band``; fonts differ in ascent, so by their ink."""
    draw = ImageDraw.Draw(band)
    boxes = [words.font.getbbox(line, anchor="ls") for line in words.lines]
    step = _LEADING * words.em
    last = len(boxes) - 1
    above = max(-box[1] - number * step for number, box in enumerate(boxes))
    below = max(box[3] + (number - last) * step for number, box in enumerate(boxes))
    # The ink of lines from the first's top to the last's bottom lies in the middle.
    first = (words.height - (above + last * step + below)) / 2 + above
    for number, line in enumerate(words.lines):
        left = (band.width - words.font.getlength(line)) / 2
        draw.text((left, round(first + number * step)), line, ink, words.font, anchor="ls")
