"""Masks: which pixels of an image an edit may change."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import UnusableMask

Editable = NDArray[np.bool_]
"""Shape (height, width): true where the edit may change the image."""


class Box(NamedTuple):
    """Pixels from ``left`` and ``top`` up to, but not including, ``right`` and ``bottom``."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> tuple[slice, slice]:
        """Index of the box's pixels in an array (height, width, ...)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True, slots=True, eq=False)
class EditMask:
    """Where an image may change, at the image's own size, named by its content."""

    editable: Editable
    id: str

    @classmethod
    def of(cls, editable: Editable) -> EditMask:
        """Name ``editable`` by its content: SHA-256 over its size and its bits."""
        height, width = editable.shape
        digest = hashlib.sha256(f"mask:{width}x{height}:".encode())
        digest.update(np.packbits(editable).data)
        return cls(editable, f"mask-{digest.hexdigest()}")

    @classmethod
    def of_box(cls, box: Box, width: int, height: int) -> EditMask:
        """The mask of a ``width`` x ``height`` image that frees ``box``.

        Raises ``UnusableMask`` if the box is empty or reaches beyond the image.
        """
        editable = from_box(box, width, height)
        editable.flags.writeable = False
        return cls.of(editable)


def from_box(box: Box, width: int, height: int) -> Editable:
    """Return the mask of a ``width`` x ``height`` image that frees ``box``.

    Raises ``UnusableMask`` if the box is empty or reaches beyond the image.
    """
    across = 0 <= box.left < box.right <= width
    down = 0 <= box.top < box.bottom <= height
    if not (across and down):
        raise UnusableMask(
            f"The box must hold at least one pixel and lie within the image of {width}x{height}: "
            "left, top, right, bottom, the last two not included.",
            "mask_box",
        )
    editable = np.zeros((height, width), dtype=np.bool_)
    editable[box.area] = True
    return editable


def require_usable(editable: Editable, width: int, height: int) -> None:
    """Raise ``UnusableMask`` unless this frees a part of a ``width`` x ``height`` image."""
    if editable.shape != (height, width):
        mask_height, mask_width = editable.shape
        raise UnusableMask(
            f"The mask has {mask_width}x{mask_height} pixels, the first image {width}x{height}. "
            "Send a mask of the image's size.",
            "mask",
        )
    if not editable.any():
        raise UnusableMask(
            "The mask leaves nothing to edit. Make transparent (or, in a mask without "
            "transparency, white) what may change.",
            "mask",
        )


def bounding_box(editable: Editable) -> Box | None:
    """Return the smallest box around everything editable; ``None`` if nothing is."""
    rows = np.flatnonzero(editable.any(axis=1))
    columns = np.flatnonzero(editable.any(axis=0))
    if not rows.size:
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def resized(editable: Editable, size: tuple[int, int]) -> Editable:
    """Return the mask at another ``size`` (width, height); no editable pixel gets lost.

    A pixel of the result is editable if any pixel that it overlaps is.
    """
    width, height = size
    return _overlapped(_overlapped(editable, height).T, width).T


def _overlapped(editable: Editable, length: int) -> Editable:
    """Bring axis 0 to ``length``, in whole numbers: rounding would lose slivers."""
    edges = np.arange(length + 1) * editable.shape[0]
    first, last = edges[:-1] // length, -(-edges[1:] // length) - 1
    # Each run ends before the next one's first row, so a shared row is missing at the end.
    overlapped: Editable = np.logical_or.reduceat(editable, first, axis=0) | editable[last]
    return overlapped
