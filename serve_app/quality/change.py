"""Where and how much two aligned pictures differ, as an eye would see it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.images.masks import Editable
from serve_app.images.pixels import RGB

_SIGMA = 2.0
"""Blur before comparing, pixels: forgets compression and half-pixel shifts."""

CHANGED_DELTA_E = 9.0
"""CIE76 distance from which a pixel counts as changed; 2.3 is just noticeable."""

_LARGEST_CAST = 20.0
"""CIE76 distance; casts seen in edits are up to 15."""


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Where and how much two pictures differ.

    ``changed`` (height, width) bool, after removing specks; ``delta_e`` (height, width)
    is the CIE76 distance without the common cast; ``shift`` (3,) is that cast, the median
    difference in Lab (L 0..100), ``cast`` its length. All but ``changed`` and ``delta_e``
    themselves are of the ``free`` pixels.
    """

    changed: NDArray[np.bool_]
    delta_e: NDArray[np.float32]
    shift: NDArray[np.float32]
    free: Editable

    @property
    def cast(self) -> float:
        """Length of the common shift in Lab."""
        return float(np.linalg.norm(self.shift))

    @property
    def area(self) -> float:
        """Share of changed pixels, 0 to 1."""
        return float(self.changed[self.free].mean())

    @property
    def strength(self) -> float:
        """The 99.9th percentile of ``delta_e``."""
        return float(np.percentile(self.delta_e[self.free], 99.9))


def change_map(original: RGB, edited: RGB, free: Editable | None = None) -> Change:
    """Compare two pictures (height, width, 3) of one size, aligned already.

    ``free`` (height, width) tells which pixels count: all without it, or if it has none.
    """
    return change_of(lab_difference(original, edited), free)


def lab_difference(original: RGB, edited: RGB) -> NDArray[np.float32]:
    """(height, width, 3): what the edited picture has more of in CIE Lab, both blurred."""
    difference: NDArray[np.float32] = _blurred_lab(edited) - _blurred_lab(original)
    return difference


def change_of(difference: NDArray[np.float32], free: Editable | None = None) -> Change:
    """``change_map`` of two pictures whose ``lab_difference`` is known already."""
    if free is None or not free.any():
        free = np.ones(difference.shape[:2], dtype=np.bool_)
    shift = common_shift(difference[free])
    delta_e = np.linalg.norm(difference - shift, axis=-1).astype(np.float32)
    mask = (delta_e > CHANGED_DELTA_E).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    return Change(mask.astype(bool), delta_e, shift, free)


def common_shift(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """What all of ``difference`` (n, 3) in Lab has in common: its median, if that is a cast.

    A background that became another colour moves the median, too, but by far more than the
    cast of a model: beyond ``_LARGEST_CAST`` it is a change, and nothing is in common.
    """
    shift: NDArray[np.float32] = np.median(difference, axis=0)
    return shift if np.linalg.norm(shift) <= _LARGEST_CAST else np.zeros_like(shift)


def _blurred_lab(pixels: RGB) -> NDArray[np.float32]:
    """CIE Lab (L 0..100) of ``pixels`` after a Gaussian blur of sigma 2."""
    blurred = cv2.GaussianBlur(pixels.astype(np.float32) / 255.0, (0, 0), _SIGMA)
    lab: NDArray[np.float32] = cv2.cvtColor(blurred, cv2.COLOR_RGB2LAB)
    return lab
