"""The ``mask_box`` field: left, top, right and bottom in pixels of the first image."""

from __future__ import annotations

import re
from typing import Any

from serve_app.images.masks import Box

_TEXT = re.compile(r"\[[^\[\]]*\]|[^\[\]]*")
_NUMBER = re.compile(r"-?[0-9]{1,6}")
_LARGEST = 10**6

MASK_BOX_SCHEMA = {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}


def parse_mask_box(value: Any, *, typed: bool) -> Box:
    """Read four whole numbers: a list, or text like ``10,20,110,90`` where not ``typed``.

    Whether the box lies within the image is known only when the image is.

    Raises:
        ValueError: With what the field must be, to follow its name.
    """
    match value if typed else _numbers(value):
        case [left, top, right, bottom] if all(
            type(edge) is int and abs(edge) < _LARGEST for edge in (left, top, right, bottom)
        ):
            return Box(left, top, right, bottom)
    raise ValueError("must be four whole numbers: left, top, right, bottom")


def _numbers(text: str) -> list[int] | None:
    """The numbers in ``text``, with or without the brackets of a JSON array."""
    text = text.strip()
    if not _TEXT.fullmatch(text):
        return None
    parts = [part.strip() for part in text.strip("[]").split(",", 4)]
    if not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    return [int(part) for part in parts]
