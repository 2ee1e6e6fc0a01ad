"""The two figures everybody knows, for information: they decide nothing.

Global SSIM and Laplacian variance separate good edits from bad ones hardly better than
chance: an untouched copy has SSIM 1, and noise has the best "clarity" of all.
"""

from __future__ import annotations

import cv2
from skimage.metrics import structural_similarity

from serve_app.quality.subject import Luma, Measurement, Subject

_WINDOW = 11
"""Pixels: a Gaussian of sigma 1.5 cut off at 3.5 sigma, as Wang et al. have it."""


def ssim(subject: Subject) -> Measurement:
    """Mean structural similarity of luma, -1 to 1 (Wang et al., 2004).

    Gaussian window of sigma 1.5, population covariance, K1 0.01, K2 0.03, range 255.
    """
    if min(subject.original_luma.shape) < _WINDOW:
        return Measurement(None, evidence={"reason": f"a side is shorter than {_WINDOW} pixels"})
    value = structural_similarity(
        subject.original_luma,
        subject.edited_luma,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return Measurement(None, float(value))


def clarity(subject: Subject) -> Measurement:
    """Variance of the Laplacian of the edited picture over that of the original."""
    before = laplacian_variance(subject.original_luma)
    after = laplacian_variance(subject.edited_luma)
    evidence = {"original": before, "edited": after}
    return Measurement(None, after / before if before > 0 else None, evidence=evidence)


def laplacian_variance(image: Luma) -> float:
    """Return the variance of the 4-neighbour Laplacian of ``image``, in squared levels."""
    return float(cv2.Laplacian(image, cv2.CV_32F).var())
