"""Whether the colours of what was to stay are still its own."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.images.pixels import RGB
from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Subject

_GREY = 4.0
"""CIE Lab chroma below which a picture has no colour to multiply."""

_CLIPPED = (3, 252)
"""Channel values at or beyond these have lost what was there, of 0..255."""


def cast(subject: Subject) -> Measurement:
    """Length of the median shift in CIE Lab over what was kept; 2.3 is just noticeable."""
    shift = subject.lab_shift
    return Measurement(float(np.linalg.norm(shift)), {"lab_shift": shift.tolist()})


def oversaturation(subject: Subject) -> Measurement:
    """The smaller of the excesses of chroma and of clipping, as multiples of their thresholds.

    Both have to be exceeded: a colourful edit has more chroma, a bright one clips. 1 is too
    much. Thresholds are ``QualityConfig.oversaturation_*``.
    """
    config = subject.config
    before, after = _chroma(subject.original), _chroma(subject.edited)
    ratio = after / max(before, _GREY)
    clipping = _clipped(subject.edited) - _clipped(subject.original)
    value = min(
        (ratio - 1.0) / (config.oversaturation_chroma - 1.0),
        clipping / config.oversaturation_clipping,
    )
    return Measurement(max(0.0, value), {"chroma_ratio": ratio, "more_clipped": clipping})


def _chroma(pixels: RGB) -> float:
    """The mean CIE Lab chroma."""
    lab: NDArray[np.float32] = cv2.cvtColor(pixels.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def _clipped(pixels: RGB) -> float:
    """The share of pixels with a channel at either end, 0 to 1."""
    low, high = _CLIPPED
    return float(((pixels <= low) | (pixels >= high)).any(axis=-1).mean())
