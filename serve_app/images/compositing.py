"""How what a mask protects is kept: an image put together from the original and the edit.

Inside the mask lies the edit, farther away than the feather the original bit for bit, and
between them a smooth passage. It lies outside of the mask, so that all of the mask is edited;
``dilated`` says what may have changed at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.images.masks import Box, Editable
from serve_app.images.pixels import RGB

FEATHER_SHARE = 1 / 64
"""The feather as a share of the longer side: 16 pixels at 1024, which is one token of the
transformer and two of the cells that its latents are held by. A narrower passage shows the
steps of these cells at the rim, a wider one changes more of what was to stay."""

_MIN_FEATHER = 2.0
"""Pixels: with one, the weights would be 1 and 0 only, a hard edge."""

_TILE = 512
"""Side of the parts an image is worked through in, pixels: what the mask is far from costs
nothing, and the rest stays in the processor's cache."""


def feather_radius(width: int, height: int) -> float:
    """Return how far outside of its mask an edit of such an image may reach, in pixels."""
    return max(_MIN_FEATHER, FEATHER_SHARE * max(width, height))


def dilated(editable: Editable, radius: float) -> Editable:
    """Return all pixels whose centre is at most ``radius`` pixels from an editable one's."""
    grown = np.zeros_like(editable)
    for tile, distance in _tiles(editable, radius):
        grown[tile.area] = distance <= radius
    return grown


def composite(original: RGB, edited: RGB, editable: Editable, radius: float) -> RGB:
    """Put ``edited`` into ``original``, both (height, width, 3), where ``editable`` says so.

    Inside the mask the result has the bytes of ``edited``, outside of the dilated mask those
    of ``original``. Raises ``ValueError`` unless all three have one size.
    """
    if not original.shape == edited.shape == (*editable.shape, 3):
        raise ValueError("the original, the edit and the mask must have one size")
    result = original.copy()
    for tile, distance in _tiles(editable, radius):
        before, after = original[tile.area], edited[tile.area]
        if distance.any():
            weight = cv2.merge([fade(distance, radius)] * 3)
            change = cv2.subtract(after, before, dtype=cv2.CV_32F)
            # Whole numbers: a weight of 1 gives the edit and one of 0 the original, exactly.
            after = cv2.add(before, cv2.multiply(change, weight), dtype=cv2.CV_8U)
        result[tile.area] = after
    return result


def fade(distance: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    """Return the weight (0 to 1) of the edit at ``distance`` pixels outside of its mask.

    Exactly 1 at 0 and exactly 0 from ``radius`` on. Between them a cubic, level at both
    ends: a straight ramp has kinks, which the eye takes for lines (Mach bands).
    """
    near = np.clip(1.0 - distance / np.float32(radius), 0.0, 1.0)
    weight: NDArray[np.float32] = near * near * (3.0 - 2.0 * near)
    return weight


def _tiles(editable: Editable, radius: float) -> Iterator[tuple[Box, NDArray[np.float32]]]:
    """Yield the parts that an edit reaches, with the distance to the nearest editable pixel.

    Distances above ``radius`` may be too large: each tile sees only its own surroundings.
    """
    reach = math.ceil(radius)
    height, width = editable.shape
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            tile = Box(left, top, min(width, left + _TILE), min(height, top + _TILE))
            above, before = min(top, reach), min(left, reach)
            seen = editable[top - above : tile.bottom + reach, left - before : tile.right + reach]
            if editable[tile.area].all():
                yield tile, np.zeros((tile.bottom - top, tile.right - left), dtype=np.float32)
            elif seen.any():
                inner = Box(before, above, before + tile.right - left, above + tile.bottom - top)
                yield tile, _distance(seen)[inner.area]


def _distance(editable: Editable) -> NDArray[np.float32]:
    """Exact Euclidean distance to the nearest editable pixel, of which there must be one."""
    fixed = np.logical_not(editable).view(np.uint8)
    exact = cv2.DIST_MASK_PRECISE
    distance: NDArray[np.float32] = cv2.distanceTransform(fixed, cv2.DIST_L2, exact)
    return distance
