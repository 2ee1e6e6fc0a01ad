"""Decoded images: 8-bit sRGB pixels named by their content."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]
"""Pixels of shape (height, width, 3), uint8, sRGB."""

CONTENT_ID = re.compile(r"img-[0-9a-f]{64}")
"""What a content id looks like; anything else is unknown without looking it up."""


def content_id(pixels: RGB) -> str:
    """Name an image by what it shows: SHA-256 over its size and its RGB bytes.

    Two files with equal pixels (a PNG and its re-compressed twin) have one id.
    """
    height, width, _ = pixels.shape
    digest = hashlib.sha256(f"rgb8:{width}x{height}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return f"img-{digest.hexdigest()}"


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """Pixels (height, width, 3) uint8 with their content id."""

    pixels: RGB
    id: str

    @classmethod
    def of(cls, pixels: RGB) -> DecodedImage:
        """Name ``pixels`` by their content."""
        return cls(pixels, content_id(pixels))

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])
