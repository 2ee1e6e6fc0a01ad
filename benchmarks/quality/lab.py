"""Colours as people see their differences: CIE L*a*b* (D65), and back."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.images.pixels import RGB

Lab = NDArray[np.float32]
"""Shape (height, width, 3): lightness 0 to 100, a and b about -100 to 100."""

Alpha = NDArray[np.float32]
"""Shape (height, width): 0 where nothing, 1 where all is changed."""


def to_lab(pixels: RGB) -> Lab:
    """Convert (height, width, 3) uint8 sRGB."""
    lab: Lab = cv2.cvtColor(pixels.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return lab


def to_rgb(lab: Lab) -> RGB:
    """Convert back; what lies outside of sRGB is clipped."""
    return rounded(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB) * 255.0)


def rounded(values: NDArray[np.floating]) -> RGB:
    """Bring values (0 to 255, clipped) to uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def blend(below: RGB, above: RGB, alpha: Alpha) -> RGB:
    """Lay ``above`` over ``below`` with the weights ``alpha``."""
    weight = alpha[..., None]
    return rounded(below * (1.0 - weight) + above * weight)


def difference(first: RGB, second: RGB) -> Alpha:
    """Return the distance in Lab (CIE 1976 dE) at each pixel."""
    distance: Alpha = np.linalg.norm(to_lab(first) - to_lab(second), axis=-1)
    return distance


def luma(pixels: RGB) -> NDArray[np.float32]:
    """Grey levels, 0 to 255."""
    grey: NDArray[np.float32] = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return grey


def desaturated(pixels: RGB) -> RGB:
    """The same in grey."""
    return np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1)
