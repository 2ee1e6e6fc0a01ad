"""A map of changes for the eye: how far each pixel is from what it was, over the original."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.images.pixels import RGB

STRONGEST = 40.0
"""CIE76 distance drawn in the last colour of the map: two unlike colours."""

_COVERED = 10.0
"""CIE76 distance from which on the map hides the original; 2.3 is just noticeable."""

_DIMMED = 0.4
"""Brightness of the original below the map, so that what changed most is brightest."""


def heat_map(original: RGB, delta_e: NDArray[np.float32]) -> RGB:
    """Lay ``delta_e`` (h, w), CIE76 distances, over ``original`` (height, width, 3), dimmed.

    The colours are matplotlib's Inferno, in which lightness grows evenly with the distance.
    """
    height, width, _ = original.shape
    distance = cv2.resize(delta_e, (width, height), interpolation=cv2.INTER_LINEAR)
    cover = np.clip(distance / _COVERED, 0.0, 1.0)[..., None]
    grey = cv2.cvtColor(original, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    # Weak changes lighten the picture, too: Inferno begins with black.
    heat = np.maximum(_inferno(distance), _DIMMED * grey)
    map_: RGB = (cover * heat + (1.0 - cover) * _DIMMED * grey).round().astype(np.uint8)
    return map_


def legend(width: int, height: int) -> RGB:
    """The colours from 0 to ``STRONGEST``, left to right, on ``height`` rows."""
    return _inferno(np.tile(np.linspace(0.0, STRONGEST, width, dtype=np.float32), (height, 1)))


def _inferno(distance: NDArray[np.float32]) -> RGB:
    levels = (255.0 * np.clip(distance / STRONGEST, 0.0, 1.0)).round().astype(np.uint8)
    colours: RGB = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return colours
