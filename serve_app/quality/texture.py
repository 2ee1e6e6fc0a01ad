"""Whether fine detail is still what it was: neither smeared, nor sharpened, nor noisy."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Luma, Subject

_FINE, _COARSE = 0.7, 1.6
"""Sigmas of the difference of Gaussians, pixels: the band in which blurring shows first."""

_LITTLE = 0.25
"""Squared levels: a picture with less energy in that band has no detail to lose."""

_TOO_SMALL = "the picture is too small to tell texture from contents"


def detail(subject: Subject) -> Measurement:
    """Energy of fine detail over what was kept, as a multiple of the original's.

    Mean of the squared difference of Gaussians (0.7 and 1.6 pixels). Below 1 is blur, above 1
    sharpening or noise.
    """
    if not subject.fine:
        return Measurement.unsupported(_TOO_SMALL)
    kept = subject.compared
    before = float(_band(subject.original_luma)[kept].mean())
    after = float(_band(subject.aligned_luma)[kept].mean())
    evidence = {"original": before, "edited": after}
    if before < _LITTLE:
        return Measurement.unsupported("what was kept has no fine detail", **evidence)
    ratio = after / before
    if not subject.much_kept:
        # All of it was relit or restyled: darker pictures have less of everything.
        ratio *= _contrast(subject.original_luma) / max(_LITTLE, _contrast(subject.aligned_luma))
    return Measurement(ratio, evidence)


def noise(subject: Subject) -> Measurement:
    """How much the standard deviation of noise has grown, in levels of 0..255."""
    if not subject.fine:
        return Measurement.unsupported(_TOO_SMALL)
    before = noise_sigma(subject.original_luma, subject.compared)
    after = noise_sigma(subject.aligned_luma, subject.compared)
    return Measurement(after - before, {"original": before, "edited": after})


def noise_sigma(image: Luma, where: NDArray[np.bool_]) -> float:
    """Standard deviation of noise over ``where``, in levels.

    Immerkaer's operator (1996), which is blind to planes and straight edges, with the median
    in place of the mean, so that texture counts less (a normal variable's standard deviation is
    1.4826 times the median of its magnitude; the operator multiplies noise by 6).
    """
    operator = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(image, cv2.CV_32F, operator))
    return float(1.4826 * np.median(response[where]) / 6.0)


def _contrast(image: Luma) -> float:
    """Variance of what is coarser than the band, squared levels."""
    return float(cv2.GaussianBlur(image, (0, 0), _COARSE).var())


def _band(image: Luma) -> NDArray[np.float32]:
    fine = cv2.GaussianBlur(image, (0, 0), _FINE)
    coarse = cv2.GaussianBlur(image, (0, 0), _COARSE)
    squared: NDArray[np.float32] = np.square(fine - coarse)
    return squared
