"""Where the original went: the similarity transform from the edited picture back onto it.

These models shift and zoom what they were not asked to touch. Everything that compares pixels
has to undo that first, or a shift of two pixels looks like a different picture.

SIFT features, Lowe's ratio test and a RANSAC fit of scale, rotation and translation found
known transforms with a median error of 0.02 pixels where phase correlation was off by 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.images.pixels import RGB

Affine = NDArray[np.float64]
"""2x3: where a pixel (x, y, 1) of the original lies in the edited picture."""

IDENTITY: Affine = np.eye(2, 3)

_FEATURES = 1500
_CONTRAST = 0.02
"""Half of OpenCV's default: skies and skin have few stronger features."""

_RATIO = 0.8
"""A match counts if it is this much nearer than the second best (Lowe, 2004)."""

_RANSAC_PX = 2.0
_MIN_INLIERS = 12
_MIN_INLIER_RATIO = 0.2
_SCALES = (0.7, 1.4)

_FAR_OFF = 24
"""Levels of grey from which on two pixels are simply different."""

_STILL_PX = 0.5
"""Transforms that move no corner farther are not undone: resampling would cost more."""

_AS_GOOD = 0.9
"""Nothing has moved if staying explains this share of the matches that the fit explains."""


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """``transform`` takes pixels of the original to the edited picture, on one canvas.

    ``found`` is false if the pictures have too little in common to tell; the transform is the
    identity then. ``inlier_ratio`` (0 to 1) is the share of matched features that agree with
    it, ``matches`` how many there were, ``features`` how many the original has. ``points``
    (n, 2) are the matched places in the original and ``moved`` (n, 2) those in the edited
    picture, pixels.
    """

    transform: Affine
    found: bool
    inlier_ratio: float
    matches: int
    features: int
    points: NDArray[np.float32]
    moved: NDArray[np.float32]
    size: tuple[int, int]

    @property
    def drift(self) -> float:
        """The farthest that a corner has moved, in percent of the diagonal."""
        return 100.0 * self._corner_px / float(np.hypot(*self.size))

    @property
    def residuals(self) -> NDArray[np.float32]:
        """(n, 2): how far each matched feature is from where the whole went, pixels."""
        expected = self.points @ self.transform[:, :2].T + self.transform[:, 2]
        residuals: NDArray[np.float32] = (self.moved - expected).astype(np.float32)
        return residuals

    @property
    def still(self) -> bool:
        """Whether nothing has moved that could be moved back without blurring it."""
        return self._corner_px < _STILL_PX

    @property
    def _corner_px(self) -> float:
        width, height = self.size
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], dtype=np.float64)
        moved = corners @ self.transform[:, :2].T + self.transform[:, 2]
        return float(np.linalg.norm(moved - corners, axis=1).max())


def register(original: RGB, edited: RGB) -> Registration:
    """Find the transform between two pictures (height, width, 3) of one size."""
    size = original.shape[1], original.shape[0]
    sift = cv2.SIFT.create(nfeatures=_FEATURES, contrastThreshold=_CONTRAST)
    before, described_before = sift.detectAndCompute(_grey(original), None)
    after, described_after = sift.detectAndCompute(_grey(edited), None)
    pairs = _matches(described_before, described_after)
    points = np.array([before[first].pt for first, _ in pairs], np.float32).reshape(-1, 2)
    moved = np.array([after[second].pt for _, second in pairs], np.float32).reshape(-1, 2)
    transform, inliers = _fit(points, moved)
    ratio = float(inliers.mean()) if len(inliers) else 0.0
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    found = (
        int(inliers.sum()) >= _MIN_INLIERS
        and ratio > _MIN_INLIER_RATIO
        and _SCALES[0] <= scale <= _SCALES[1]
    )
    if found and not _nearer(original, edited, transform):
        transform = IDENTITY
    return Registration(
        transform if found else IDENTITY,
        found,
        ratio,
        len(pairs),
        len(before),
        points,
        moved,
        size,
    )


def align(edited: RGB, transform: Affine) -> tuple[RGB, NDArray[np.bool_]]:
    """Warp ``edited`` back onto the original; also where it has pixels for it, (height, width)."""
    height, width, _ = edited.shape
    back = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    aligned: RGB = cv2.warpAffine(
        edited, transform, (width, height), flags=back, borderMode=cv2.BORDER_REPLICATE
    )
    inside = np.full((height, width), 255, np.uint8)
    nearest = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    valid = cv2.warpAffine(inside, transform, (width, height), flags=nearest, borderValue=0)
    return aligned, valid > 0


def _nearer(original: RGB, edited: RGB, transform: Affine) -> bool:
    """Whether undoing ``transform`` brings the edited picture nearer to the original.

    The same letters in other places match well, and mean nothing for the whole.
    """
    aligned, valid = align(edited, transform)
    grey = _grey(original)
    before = cv2.absdiff(grey, _grey(edited))[valid]
    after = cv2.absdiff(grey, _grey(aligned))[valid]
    # What the edit changed is far off either way: beyond the cap it counts alike.
    return bool(np.minimum(after, _FAR_OFF).mean() <= np.minimum(before, _FAR_OFF).mean())


def _grey(pixels: RGB) -> NDArray[np.uint8]:
    grey: NDArray[np.uint8] = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return grey


def _matches(
    before: NDArray[np.float32] | None, after: NDArray[np.float32] | None
) -> list[tuple[int, int]]:
    """Pairs of indices whose features belong together, by the ratio test."""
    if before is None or after is None or len(after) < 2:
        return []
    nearest = cv2.BFMatcher(cv2.NORM_L2).knnMatch(before, after, k=2)
    return [
        (first.queryIdx, first.trainIdx)
        for first, second in nearest
        if first.distance < _RATIO * second.distance
    ]


def _fit(
    points: NDArray[np.float32], moved: NDArray[np.float32]
) -> tuple[Affine, NDArray[np.bool_]]:
    if len(points) < 3:
        return IDENTITY, np.zeros(len(points), np.bool_)
    transform, found = cv2.estimateAffinePartial2D(
        points, moved, method=cv2.RANSAC, ransacReprojThreshold=_RANSAC_PX
    )
    if transform is None:
        return IDENTITY, np.zeros(len(points), np.bool_)
    inliers = found.ravel().astype(np.bool_)
    # A few matches on a small thing fix its place well, and the far corners badly.
    stayed = np.linalg.norm(moved - points, axis=1) < _RANSAC_PX / 2
    if stayed.sum() >= _AS_GOOD * inliers.sum():
        return IDENTITY, stayed
    return transform, inliers
