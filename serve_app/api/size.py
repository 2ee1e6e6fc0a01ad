"""The ``size`` field: ``auto``, ``native`` or ``WIDTHxHEIGHT``."""

from __future__ import annotations

import re

from serve_app.config import LimitsConfig
from serve_app.edits.request import ExactSize, OutputSize

_EXACT = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


def parse_size(text: str, limits: LimitsConfig) -> OutputSize:
    """Read ``text``; the result is held to the limits of an input image.

    Raises:
        ValueError: With what the size must be, to follow the name of its field.
    """
    match text:
        case "auto":
            return "auto"
        case "native":
            return "native"
    found = _EXACT.fullmatch(text)
    if found is None:
        raise ValueError("must be `auto`, `native` or WIDTHxHEIGHT, for example 1024x768")
    width, height = int(found[1]), int(found[2])
    short, long = sorted((width, height))
    if short < limits.min_side or long > limits.max_side:
        raise ValueError(f"must have sides from {limits.min_side} to {limits.max_side} pixels")
    if width * height > limits.image_pixels:
        raise ValueError(f"must have at most {limits.image_pixels} pixels")
    if long > short * limits.max_aspect:
        raise ValueError(f"must not be longer than {limits.max_aspect:g} times its shorter side")
    return ExactSize(width, height)
