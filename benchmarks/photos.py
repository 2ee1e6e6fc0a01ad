"""Photos to edit: crops of one, each at another place, so that no two are equal."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from serve_app.images.pixels import RGB

_STRIDE = 7
"""Pixels between neighbouring crops."""


def photo(number: int, side: int) -> RGB:
    """Cut the ``number``-th square of ``side`` pixels; some 1,300 of 256 are distinct."""
    sample = _sample()
    rows, columns = (1 + (length - side) // _STRIDE for length in sample.shape[:2])
    row, column = divmod(number, columns)
    top, left = row % rows * _STRIDE, column * _STRIDE
    return np.ascontiguousarray(sample[top : top + side, left : left + side])


def jpeg(number: int, side: int) -> bytes:
    """``photo`` as the file a person would upload."""
    buffer = io.BytesIO()
    Image.fromarray(photo(number, side)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@cache
def _sample() -> RGB:
    """Eileen Collins, photographed by NASA: in the public domain."""
    with Image.open(Path(__file__).parent / "astronaut.jpg") as image:
        return np.asarray(image.convert("RGB"))
