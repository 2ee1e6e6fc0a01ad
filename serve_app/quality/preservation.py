"""Whether what was to stay is still the same, pixel for pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Luma, Subject

WINDOW = 11
"""Pixels: a Gaussian of sigma 1.5 cut off at 3.5 sigma, as Wang et al. have it."""


def similarity(before: Luma, after: Luma) -> tuple[float, NDArray[np.float32]]:
    """Structural similarity, its mean and around every pixel, -1 to 1 (Wang et al., 2004).

    Gaussian window of sigma 1.5, population covariance, K1 0.01, K2 0.03, range 255. The mean
    leaves out the border that no whole window fits, as in the paper. Sides must be at least
    ``WINDOW`` pixels.
    """
    mean, around = structural_similarity(
        before,
        after,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return float(mean), around


def preservation(subject: Subject) -> Measurement:
    """The mean structural similarity over what was kept, -1 to 1, drift undone.

    The common cast is not counted: the check of colours has it.
    """
    if min(subject.original_luma.shape) < WINDOW:
        return Measurement.unsupported(f"a side is shorter than {WINDOW} pixels")
    if not subject.much_kept:
        return Measurement.unsupported("next to nothing was left as it was")
    _, around = similarity(subject.original_luma, subject.aligned_luma)
    kept = subject.kept
    return Measurement(float(around[kept].mean()), {"kept_share": float(kept.mean())})
