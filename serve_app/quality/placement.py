"""Whether everything stayed where it was: drift of the whole, order of the parts.

Qwen-Image-Edit returns pictures that are shifted or zoomed by a little (QwenLM/Qwen-Image #160
and #229); a person who lays both over each other sees it at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from serve_app.edits.classification import mentions_moving
from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Subject

_FEW_MATCHES = 24
"""Below so many, a share of them says nothing …"""

_MANY_FEATURES = 200
"""… unless the original has so many that more should have been found again."""

_TOO_SMALL = "in so small a picture a single thing has most of the features"

_AGREE_PX = 2.0
_AWAY_PX = 2.5
"""Features are found again to a fraction of a pixel; RANSAC counts 2 as agreeing."""

_FAR, _NEAR = 0.5, 0.08
"""Shares of the diagonal: what moved farther is another thing that looks alike, and neighbours
are no farther apart."""

_NEIGHBOURS = 3
_ALIKE_PX = 2.5
"""Neighbours of which all but one moved alike, to so many pixels."""


def drift(subject: Subject) -> Measurement:
    """The farthest that a corner of the picture has moved, in percent of the diagonal."""
    found = subject.registration
    if not found.found:
        return Measurement.unsupported(
            "the pictures have too few features in common", matches=found.matches
        )
    (a, b, x), (_, _, y) = found.transform
    evidence = {
        "scale": float(np.hypot(a, b)),
        "shift_px": [float(x) / subject.scale, float(y) / subject.scale],
        "matches": found.matches,
    }
    return Measurement(found.drift, evidence)


def structure(subject: Subject) -> Measurement:
    """The share of matched features that moved with the whole, 0 to 1.

    Where parts have been bent, swapped or redrawn elsewhere, matches disagree (RANSAC, 2 px).
    Letters that were to change don't count.
    """
    if not subject.fine:
        return Measurement.unsupported(_TOO_SMALL)
    found = subject.registration
    lengths = np.linalg.norm(found.residuals, axis=1)[_elsewhere(subject)]
    evidence = {"matches": len(lengths), "features": found.features}
    if len(lengths) >= _FEW_MATCHES:
        return Measurement(float((lengths <= _AGREE_PX).mean()), evidence)
    if found.features >= _MANY_FEATURES:
        return Measurement(0.0, evidence)
    return Measurement.unsupported("the pictures have too few features to tell", **evidence)


def displaced(subject: Subject) -> Measurement | None:
    """The share of matched features that moved apart from the whole, but with neighbours, 0 to 1.

    A single feature that seems to have moved is a mismatch; several side by side that moved
    alike are a part of the picture that was bent or put elsewhere. Where that is what was asked
    for, this is not checked.
    """
    if mentions_moving(subject.case.prompt):
        return None
    if not subject.fine:
        return Measurement.unsupported(_TOO_SMALL)
    found = subject.registration
    if found.matches < _FEW_MATCHES:
        return Measurement.unsupported("the pictures have too few features", matches=found.matches)
    residuals = found.residuals
    length = np.linalg.norm(residuals, axis=1)
    away = (length > _AWAY_PX) & (length < _FAR * np.hypot(*found.size)) & _elsewhere(subject)
    points, vectors = found.points[away], residuals[away]
    if len(points) <= _NEIGHBOURS:
        return Measurement(0.0)
    distances, near = cKDTree(points).query(points, k=_NEIGHBOURS + 1)
    apart = np.linalg.norm(vectors[near[:, 1:]] - vectors[:, None], axis=-1)
    alike = (apart < _ALIKE_PX) & (distances[:, 1:] < _NEAR * np.hypot(*found.size))
    together = alike.sum(axis=1) >= _NEIGHBOURS - 1
    return Measurement(float(together.sum()) / found.matches)


def _elsewhere(subject: Subject) -> NDArray[np.bool_]:
    """Which matched features are no part of letters that were to change."""
    columns, rows = subject.registration.points.astype(int).T
    elsewhere: NDArray[np.bool_] = ~subject.rewritten[rows, columns]
    return elsewhere
