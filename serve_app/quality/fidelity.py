"""The two figures everybody knows, for information: they decide nothing.

Global SSIM and Laplacian variance separate good edits from bad ones hardly better than
chance: an untouched copy has SSIM 1, and noise has the best "clarity" of all.
"""

from __future__ import annotations

import cv2

from serve_app.quality.measurement import Measurement
from serve_app.quality.preservation import WINDOW, similarity
from serve_app.quality.subject import Luma, Subject


def ssim(subject: Subject) -> Measurement:
    """Mean structural similarity of luma over the whole picture, as it came; -1 to 1."""
    if min(subject.original_luma.shape) < WINDOW:
        return Measurement.unsupported(f"a side is shorter than {WINDOW} pixels")
    mean, _ = similarity(subject.original_luma, subject.edited_luma)
    return Measurement(mean)


def clarity(subject: Subject) -> Measurement:
    """Variance of the Laplacian of the edited picture over that of the original."""
    before = laplacian_variance(subject.original_luma)
    after = laplacian_variance(subject.edited_luma)
    evidence = {"original": before, "edited": after}
    if before <= 0:
        return Measurement.unsupported("the original is one flat colour", **evidence)
    return Measurement(after / before, evidence)


def laplacian_variance(image: Luma) -> float:
    """Return the variance of the 4-neighbour Laplacian of ``image``, in squared levels."""
    return float(cv2.Laplacian(image, cv2.CV_32F).var())
