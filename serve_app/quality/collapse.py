"""Whether the model produced a picture at all, rather than a flat field or noise.

Thresholds are ``QualityConfig.collapse_*``. Measured with the formulas below on 14 sample
pictures of scikit-image (photos, textures, scanned text): standard deviation 13 to 75,
entropy 4.9 to 7.7 bits, flatness up to 0.15. A flat field has 0, 0 and 0; white noise has
a flatness of exp(-Euler's gamma) = 0.56 whatever its strength.

Drawings, posters and products on white are poor by nature: black letters on white have 0.2
bits. So a result need not have more than half of what its original has, nor be less flat.
A small product cut out of a rich photo onto white still has 0.6 bits. What was full of contrast
has faded away with less than a tenth of it left, though that may be more than a dull photo has.
"""

from __future__ import annotations

import numpy as np

from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Luma, Subject

_BEYOND = 0.03
"""Share of a picture that is of more than two plain shades; a product on white has 0.05."""

_FADED = 0.1
"""Contrast that is left, as a share of the original's."""

_PLAIN = 1.0
"""Standard deviation of luma, 0..255: below it there is nothing to see, whatever was asked."""


def finite(subject: Subject) -> Measurement:
    """1 if the engine met no NaN or infinity, else 0."""
    return Measurement(float(subject.case.finite))


def collapse(subject: Subject) -> Measurement:
    """The smallest margin of contrast, entropy and spectrum, as a multiple of its threshold.

    1 is just enough for a picture.
    """
    config, image, original = subject.config, subject.result_luma, subject.original_luma
    deviation, before = float(image.std()), float(original.std())
    entropy = luma_entropy(image)
    flatness = spectral_flatness(image)
    margin = (
        10.0
        if deviation >= _PLAIN and _much_is_left(subject)
        else min(
            _share(deviation, max(min(config.collapse_std, before / 2), before * _FADED)),
            _share(entropy, min(config.collapse_entropy, luma_entropy(original) / 2)),
            _share(max(config.collapse_flatness, spectral_flatness(original)), flatness),
            _share(beyond_two_levels(image), min(_BEYOND, beyond_two_levels(original) / 2)),
            10.0,  # beyond this a margin says nothing, and infinity is no JSON
        )
    )
    evidence = {
        "luma_std": deviation,
        "luma_entropy_bits": entropy,
        "spectral_flatness": flatness,
    }
    return Measurement(margin, evidence)


def _much_is_left(subject: Subject) -> bool:
    """Whether half of the picture is as it was: then what is plain was plain before, or asked for.

    Taking the only thing off a plain ground leaves the ground.
    """
    return subject.change.area <= 0.5 and subject.change.cast < 3.0


def _share(value: float, of: float) -> float:
    """``value`` as a multiple of ``of``; of next to nothing, everything is enough."""
    return value / of if of > 1e-9 else 10.0


def luma_entropy(image: Luma) -> float:
    """Return Shannon's entropy of the histogram of luma in 256 levels, 0 to 8 bits."""
    counts = np.bincount(image.round().clip(0, 255).astype(np.uint8).ravel(), minlength=256)
    share = counts[counts > 0] / image.size
    return float(-(share * np.log2(share)).sum() + 0.0)


def beyond_two_levels(image: Luma) -> float:
    """Return the share of pixels that are not of the two commonest kinds of luma, 0 to 1.

    A kind is 16 levels wide, half a kind about the commonest level.
    """
    counts = np.bincount(image.round().clip(0, 255).astype(np.uint8).ravel(), minlength=256)
    rest = counts.copy()
    for _ in range(2):
        level = int(rest.argmax())
        rest[max(0, level - 8) : level + 8] = 0
    return float(rest.sum() / image.size)


def spectral_flatness(image: Luma) -> float:
    """Return the geometric over the arithmetic mean of the power spectrum, 0 to 1.

    Wiener's measure (J. D. Johnston, 1988) over the two-dimensional spectrum: 1 is equal
    power at every frequency. The mean is removed and a Hann window applied first, or the
    jump between opposite borders would look like broadband power; the constant is left
    out. A picture without any power has flatness 0.
    """
    height, width = image.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    power = np.abs(np.fft.rfft2((image - image.mean()) * window)) ** 2
    varying = power.ravel()[1:]
    mean = float(varying.mean()) if varying.size else 0.0
    if mean < 1e-6:  # rounding of a flat field
        return 0.0
    return float(np.exp(np.log(np.maximum(varying, 1e-12 * mean)).mean()) / mean)
