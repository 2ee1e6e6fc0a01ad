"""Parts of a photo that an edit could be about: the main thing, patches of one colour, blobs."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.quality.lab import Alpha, to_lab
from benchmarks.quality.photos import Photo
from serve_app.images.pixels import RGB

_SEARCH_SIDE = 224
"""Pixels: segmenting is done at this longer side, its result scaled up with soft edges."""

_COLOURS = 9
_SMALLEST, _LARGEST = 0.012, 0.12
"""Shares of the picture that a patch of one colour may take."""


def region(photo: Photo, random: Generator) -> Alpha:
    """Draw a part of ``photo``: a patch of one colour where it has some, or a blob."""
    found = _patches(photo)
    if found and random.random() < 0.85:
        return found[int(random.integers(len(found)))]
    return blob(photo.pixels.shape[:2], random, float(random.uniform(0.02, 0.08)))


@cache
def subject(photo: Photo) -> Alpha:
    """Cut out the main thing of ``photo`` by GrabCut within its box.

    Raises ``ValueError`` for a photo without one.
    """
    if photo.subject is None:
        raise ValueError(f"{photo.name} has no main thing")
    small = _small(photo.pixels)
    height, width = small.shape[:2]
    left, top, right, bottom = photo.subject
    rows = slice(round(top * height), round(bottom * height))
    columns = slice(round(left * width), round(right * width))
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    labels[rows, columns] = cv2.GC_PR_BGD
    labels[_middle(rows, 0.05), _middle(columns, 0.2)] = cv2.GC_PR_FGD
    labels[_middle(rows, 0.15), _middle(columns, 0.42)] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, labels, None, *models, 4, cv2.GC_INIT_WITH_MASK)
    inside = _closed(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)), 5)
    return _soft(_filled(_largest(inside)), photo.pixels.shape[:2])


def blob(shape: tuple[int, ...], random: Generator, share: float) -> Alpha:
    """Draw a rounded spot with soft edges that takes about ``share`` of ``shape``."""
    height, width = shape[:2]
    radius = np.sqrt(share * height * width / np.pi)
    margin = min(0.9 * radius, 0.4 * min(height, width))
    x = random.uniform(margin, width - margin)
    y = random.uniform(margin, height - margin)
    return spot(shape, (x, y), float(radius), random)


def spot(
    shape: tuple[int, ...], centre: tuple[float, float], radius: float, random: Generator
) -> Alpha:
    """A spot around ``centre`` (x, y) of about ``radius`` pixels, its outline a little uneven."""
    height, width = shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    rows, columns = rows - centre[1], columns - centre[0]
    angle = np.arctan2(rows, columns)
    outline = np.ones_like(angle)
    for waves in (2, 3, 5):
        swing, phase = random.uniform(-0.3, 0.3) / waves, random.uniform(0, 2 * np.pi)
        outline += swing * np.cos(waves * angle + phase)
    inside = np.hypot(rows, columns) < radius * outline
    alpha: Alpha = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1.5)
    return alpha


def smooth_field(shape: tuple[int, ...], random: Generator, scale: float) -> NDArray[np.float32]:
    """Smooth noise, mean 0 and deviation 1, its bumps about ``scale`` of the longer side."""
    height, width = shape[:2]
    cells = max(2, round(1 / scale))
    rows, columns = (max(2, round(cells * side / max(height, width))) + 2 for side in shape[:2])
    coarse = random.standard_normal((rows, columns)).astype(np.float32)
    field: NDArray[np.float32] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return (field - field.mean()) / max(float(field.std()), 1e-6)


def dilated(alpha: Alpha, share: float) -> NDArray[np.bool_]:
    """Where ``alpha`` changes anything, and ``share`` of the longer side around it."""
    radius = share * max(alpha.shape)
    apart = (alpha <= 0.02).astype(np.uint8)
    near: NDArray[np.bool_] = cv2.distanceTransform(apart, cv2.DIST_L2, 5) <= radius
    return near


@cache
def _patches(photo: Photo) -> tuple[Alpha, ...]:
    """Connected patches of one colour, by k-means in Lab over the smoothed picture."""
    small = cv2.medianBlur(_small(photo.pixels), 7)
    height, width = small.shape[:2]
    points = to_lab(small).reshape(-1, 3)
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    _, labels, _ = cv2.kmeans(points, _COLOURS, None, criteria, 1, cv2.KMEANS_PP_CENTERS)
    found = []
    for colour in range(_COLOURS):
        chosen = _closed(labels.reshape(height, width) == colour, 3)
        count, parts, statistics, _ = cv2.connectedComponentsWithStats(chosen.astype(np.uint8))
        for part in range(1, count):
            _, _, across, down, area = statistics[part]
            compact = area > 0.4 * across * down
            if compact and _SMALLEST < area / (height * width) < _LARGEST:
                found.append(_soft(_filled(parts == part), photo.pixels.shape[:2]))
    return tuple(found)


def _middle(span: slice, margin: float) -> slice:
    """``span`` without ``margin`` (a share of it) on either side."""
    cut = round(margin * (span.stop - span.start))
    return slice(span.start + cut, span.stop - cut)


def _small(pixels: RGB) -> RGB:
    height, width = pixels.shape[:2]
    scale = min(1.0, _SEARCH_SIDE / max(height, width))
    small: RGB = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return small


def _closed(inside: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    opened = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    closed: NDArray[np.bool_] = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, kernel) > 0
    return closed


def _largest(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    largest: NDArray[np.bool_] = parts == 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return largest


def _filled(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    outlines, _ = cv2.findContours(
        inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    filled = np.zeros(inside.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled > 0


def _soft(inside: NDArray[np.bool_], shape: tuple[int, ...]) -> Alpha:
    """Scale a small mask up to ``shape`` without its steps."""
    height, width = shape[:2]
    large = cv2.resize(inside.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.GaussianBlur(large, (0, 0), 0.6 * width / inside.shape[1] + 0.8)
    alpha: Alpha = np.clip((smooth - 0.2) / 0.6, 0.0, 1.0)
    alpha.setflags(write=False)
    return alpha
