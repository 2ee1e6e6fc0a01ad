"""Colours as people write them: #RGB, #RRGGBB or a CSS name, always opaque."""

from __future__ import annotations

import re

from PIL import ImageColor

_WRITTEN = re.compile(r"#[0-9a-f]{3}|#[0-9a-f]{6}|[a-z]+", re.IGNORECASE)


def parse_colour(text: str) -> tuple[int, int, int]:
    """Return the (red, green, blue), 0 to 255 each, that ``text`` names, in either case.

    Raises ``ValueError``, with words that complete "`field` …", for anything else.
    """
    try:
        if not _WRITTEN.fullmatch(text):
            raise ValueError(text)
        red, green, blue, *_ = ImageColor.getrgb(text)
    except ValueError as error:
        raise ValueError("must be a colour such as #0A84FF") from error
    return red, green, blue


def hex_colour(colour: tuple[int, int, int]) -> str:
    """Return ``colour`` as #RRGGBB."""
    return "#{:02X}{:02X}{:02X}".format(*colour)
