"""Good edits of the whole picture: another style, another light, another season."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.quality import regions
from benchmarks.quality.edit import Edit, Kind, anywhere
from benchmarks.quality.lab import desaturated, luma, rounded, to_lab, to_rgb
from benchmarks.quality.photos import Photo
from serve_app.edits.request import EditType
from serve_app.images.pixels import RGB

Filter = Callable[[RGB, Generator], RGB]

_SEPIA = np.array(((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131)))
"""R, G, B of the toned print from R, G, B; as in the W3C's filter effects, before the mixing."""


def oil(pixels: RGB, random: Generator) -> RGB:
    """The filter of Kuwahara et al. 1976: each pixel takes the mean of its calmest quadrant."""
    radius = max(2, round(max(pixels.shape) * float(random.uniform(0.005, 0.009))))
    exact = pixels.astype(np.float32)
    size = (radius + 1, radius + 1)
    grey = luma(pixels)
    best = np.full(grey.shape, np.inf, np.float32)
    painted = np.zeros_like(exact)
    for x in (0, radius):
        for y in (0, radius):
            mean = cv2.boxFilter(exact, -1, size, anchor=(x, y))
            level = cv2.boxFilter(grey, -1, size, anchor=(x, y))
            variance = cv2.boxFilter(grey * grey, -1, size, anchor=(x, y)) - level * level
            calmer = variance < best
            best = np.where(calmer, variance, best)
            painted = np.where(calmer[..., None], mean, painted)
    strokes = regions.smooth_field(pixels.shape, random, 0.006) * np.sqrt(best)
    return _vivid(rounded(painted + 0.4 * strokes[..., None]), 1.15)


def cartoon(pixels: RGB, random: Generator) -> RGB:
    """Flat colours by a bilateral filter, and dark outlines (Winnemöller et al. 2006)."""
    smooth = pixels
    for _ in range(3):
        smooth = cv2.bilateralFilter(smooth, 7, 40, 7)
    lab = to_lab(smooth)
    step = float(random.uniform(9.0, 14.0))
    steps = lab[..., 0] / step
    lab[..., 0] = step * (np.floor(steps) + 0.5 + 0.5 * np.tanh(4.0 * (steps % 1.0 - 0.5)))
    grey = luma(smooth)
    fine = cv2.GaussianBlur(grey, (0, 0), 1.0) - 0.98 * cv2.GaussianBlur(grey, (0, 0), 1.6)
    ink = np.clip(1.0 + np.tanh(0.6 * (fine - 0.4)), 0.0, 1.0)[..., None]
    return rounded(_vivid(to_rgb(lab), 1.25) * (0.25 + 0.75 * ink))


def sketch(pixels: RGB, random: Generator) -> RGB:
    """Pencil: the grey levels over their own blur (a colour dodge)."""
    grey = luma(pixels) + 1.0
    ground = cv2.GaussianBlur(grey, (0, 0), max(pixels.shape) * float(random.uniform(0.008, 0.02)))
    drawn = np.clip(grey / ground, 0.0, 1.0) ** 1.6
    hatched = np.clip(0.6 + 0.7 * grey / 255.0, 0.0, 1.0)
    paper = 246.0 + 2.0 * regions.smooth_field(pixels.shape, random, 0.005)
    return rounded(np.repeat((drawn * hatched * paper)[..., None], 3, axis=-1))


def watercolour(pixels: RGB, random: Generator) -> RGB:
    """Washes that run together, darker at their rims, on grained paper."""
    wash = cv2.medianBlur(cv2.bilateralFilter(cv2.bilateralFilter(pixels, 9, 50, 9), 9, 50, 9), 3)
    lab = to_lab(wash)
    grey = luma(pixels)
    rims = np.maximum(cv2.GaussianBlur(grey, (0, 0), 2.5) - cv2.GaussianBlur(grey, (0, 0), 0.8), 0)
    paper = regions.smooth_field(pixels.shape, random, 0.004)
    pools = regions.smooth_field(pixels.shape, random, 0.06)
    lab[..., 0] = 22.0 + 0.78 * lab[..., 0] - 0.7 * np.minimum(rims, 40.0) + 1.2 * paper + 2 * pools
    lab[..., 1:] *= 1.1
    return to_rgb(lab)


def sepia(pixels: RGB, random: Generator) -> RGB:
    """An old print, a little faded."""
    toned = pixels.astype(np.float32) @ _SEPIA.T.astype(np.float32)
    return rounded(12.0 + toned * float(random.uniform(0.82, 0.92)))


def greyscale(pixels: RGB, random: Generator) -> RGB:
    """Black and white, with more or less contrast."""
    contrast = float(random.uniform(1.0, 1.2))
    return rounded(128.0 + contrast * (desaturated(pixels).astype(np.float32) - 128.0))


def warm(pixels: RGB, random: Generator) -> RGB:
    """The light of a late afternoon."""
    return graded(pixels, 3.0, float(random.uniform(3, 7)), float(random.uniform(14, 22)))


def cool(pixels: RGB, random: Generator) -> RGB:
    """The light of a cloudy morning."""
    return graded(pixels, -2.0, float(random.uniform(-5, 0)), float(random.uniform(-22, -14)))


def night(pixels: RGB, random: Generator) -> RGB:
    """Dark and blue, darkest at the corners."""
    lab = to_lab(pixels)
    height, width = lab.shape[:2]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    corners = 1.0 - 0.25 * np.clip(rows**2 + columns**2, 0.0, 1.6)
    lab[..., 0] *= float(random.uniform(0.42, 0.55)) * corners
    lab[..., 1] = 0.5 * lab[..., 1] + 2.0
    lab[..., 2] = 0.5 * lab[..., 2] - float(random.uniform(12, 18))
    return to_rgb(lab)


def sunset(pixels: RGB, random: Generator) -> RGB:
    """An orange sky above, dusk below."""
    lab = to_lab(pixels)
    down: NDArray[np.float32] = np.linspace(0.0, 1.0, lab.shape[0], dtype=np.float32)[:, None]
    lab[..., 0] *= 0.98 - float(random.uniform(0.3, 0.42)) * down
    lab[..., 1] = 0.8 * lab[..., 1] + 24.0 - 10.0 * down
    lab[..., 2] = 0.8 * lab[..., 2] + 38.0 - 34.0 * down
    return to_rgb(lab)


def autumn(pixels: RGB, random: Generator) -> RGB:
    """Greens turn to orange and brown, and the light is golden."""
    lab = to_lab(pixels)
    hue = np.arctan2(lab[..., 2], lab[..., 1])
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    amber, green, width = np.radians((float(random.uniform(58, 70)), 145.0, 45.0))
    leaves = np.exp(-(((hue % (2 * np.pi)) - green) ** 2) / width**2)
    turned = hue + leaves * (amber - hue)
    lab[..., 1], lab[..., 2] = chroma * np.cos(turned), chroma * np.sin(turned)
    return graded(to_rgb(lab), 0.0, 7.0, float(random.uniform(13, 19)))


def winter(pixels: RGB, random: Generator) -> RGB:
    """Pale and cold, and it snows."""
    lab = to_lab(pixels)
    lab[..., 0] = 16.0 + 0.8 * lab[..., 0]
    lab[..., 1] *= 0.45
    lab[..., 2] = 0.45 * lab[..., 2] - 7.0
    height, width = lab.shape[:2]
    flakes = np.zeros((height, width), np.float32)
    for _ in range(int(random.integers(120, 260))):
        centre = int(random.integers(width)), int(random.integers(height))
        radius = max(1, round(max(height, width) * float(random.uniform(0.001, 0.005))))
        cv2.circle(flakes, centre, radius, float(random.uniform(0.5, 0.95)), -1, cv2.LINE_AA)
    flakes = cv2.GaussianBlur(flakes, (0, 0), 0.9)[..., None]
    return rounded(to_rgb(lab) * (1.0 - flakes) + 252.0 * flakes)


def graded(pixels: RGB, lightness: float, a: float, b: float) -> RGB:
    """Shift the colours in Lab; least in the shadows, as light does."""
    lab = to_lab(pixels)
    lit = np.clip(0.35 + lab[..., 0] / 70.0, 0.0, 1.0)
    lab[..., 0] += lightness
    lab[..., 1] += a * lit
    lab[..., 2] += b * lit
    return to_rgb(lab)


def _vivid(pixels: RGB, gain: float) -> RGB:
    lab = to_lab(pixels)
    lab[..., 1:] *= gain
    return to_rgb(lab)


def _coloured(photo: Photo) -> bool:
    return photo.coloured


def _painterly(photo: Photo) -> bool:
    return photo.detailed and photo.bright and photo.plain


def _bright(photo: Photo) -> bool:
    return photo.bright


def _kind(name: str, change: Filter, prompt: str, suits: Callable[[Photo], bool]) -> Kind:
    def make(photo: Photo, random: Generator) -> Edit:
        pixels = photo.pixels
        everywhere = np.ones(pixels.shape[:2], np.float32)
        return Edit(pixels, change(pixels, random), prompt, everywhere)

    return Kind(name, EditType.SEMANTIC, make, suits)


KINDS = (
    _kind("oil", oil, "Turn this into an oil painting.", _painterly),
    _kind("cartoon", cartoon, "Make it look like a cartoon.", _painterly),
    _kind("sketch", sketch, "Turn the photo into a pencil sketch.", _painterly),
    _kind("watercolour", watercolour, "Paint this as a watercolour.", _painterly),
    _kind("sepia", sepia, "Make it an old sepia photo.", _bright),
    _kind("greyscale", greyscale, "Make the photo black and white.", _coloured),
    _kind("warm", warm, "Give the photo warm afternoon light.", _bright),
    _kind("cool", cool, "Give the photo a cold blue tone.", _bright),
    _kind("night", night, "Make it night.", _bright),
    _kind("sunset", sunset, "Change the light to a sunset.", _bright),
    _kind("autumn", autumn, "Turn the season to autumn.", _coloured),
    _kind("winter", winter, "Turn the season to winter, with snow falling.", anywhere),
)
