"""Whether anything was edited: about half of the failures of editing models are copies.

The thresholds (``QualityConfig.no_op_*``) were set on good local edits against copies that
were re-encoded, slightly blurred or one shade off; all three have to be missed, so that a
small but strong edit, a weak but wide one and a pure change of colour each count.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.images.masks import Editable
from serve_app.images.pixels import RGB
from serve_app.quality.subject import Measurement, Subject

_SIGMA = 2.0
"""Blur before comparing, pixels: forgets compression and half-pixel shifts."""

_CHANGED_DELTA_E = 9.0
"""CIE76 distance from which a pixel counts as changed; 2.3 is just noticeable."""


@dataclass(frozen=True, slots=True)
class Change:
    """Where and how much two pictures differ.

    ``changed`` (height, width) bool, after removing specks; ``delta_e`` (height, width)
    is the CIE76 distance without the common cast; ``cast`` is the length of the median
    shift in Lab. All but ``changed`` and ``delta_e`` themselves are of the ``free`` pixels.
    """

    changed: NDArray[np.bool_]
    delta_e: NDArray[np.float32]
    cast: float
    free: Editable

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

    ``free`` (height, width) tells which pixels count: all without it.
    """
    free = np.ones(original.shape[:2], dtype=np.bool_) if free is None else free
    difference = _blurred_lab(edited) - _blurred_lab(original)
    shift = np.median(difference[free], axis=0)
    delta_e = np.linalg.norm(difference - shift, axis=-1).astype(np.float32)
    mask = (delta_e > _CHANGED_DELTA_E).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    return Change(mask.astype(bool), delta_e, float(np.linalg.norm(shift)), free)


def no_op(subject: Subject) -> Measurement:
    """Pass unless area, strength and cast of the change are all below their thresholds.

    Only what a mask frees counts, if there is one: beside a whole picture, a small edit that
    was asked for would look like a copy.

    The value is the largest of the three as a multiple of its threshold, so that 1 is the
    least change that counts as an edit.
    """
    config = subject.config
    change = change_map(*subject.focus)
    most = max(
        # A threshold of 0 asks for any change at all.
        change.area / max(config.no_op_area, 1e-9),
        change.strength / config.no_op_delta_e,
        change.cast / config.no_op_cast,
    )
    evidence = {
        "changed_area": change.area,
        "delta_e_p99_9": change.strength,
        "cast_delta_e": change.cast,
    }
    return Measurement(most >= 1.0, most, 1.0, "at_least", evidence)


def _blurred_lab(pixels: RGB) -> NDArray[np.float32]:
    """CIE Lab (L 0..100) of ``pixels`` after a Gaussian blur."""
    blurred = cv2.GaussianBlur(pixels.astype(np.float32) / 255.0, (0, 0), _SIGMA)
    lab: NDArray[np.float32] = cv2.cvtColor(blurred, cv2.COLOR_RGB2LAB)
    return lab
