"""Things that are put into a photo: cut out of another one, or drawn, with their shadow."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from benchmarks.quality import regions
from benchmarks.quality.lab import Alpha, blend, desaturated, rounded, to_lab, to_rgb
from benchmarks.quality.photos import Photo, photos
from serve_app.images.pixels import RGB

_NAMES = {
    "astronaut": "an astronaut",
    "coffee": "a cup of coffee",
    "flower": "a dahlia",
    "coins": "a coin",
    "china": "a pagoda",
    "camera": "a man with a camera",
}


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """``pixels`` with the thing, which with its shadow covers ``alpha``."""

    pixels: RGB
    alpha: Alpha
    name: str


def place(photo: Photo, random: Generator) -> Placed:
    """Put something into ``photo``: a cutout of a photo of the same split, a ball, a balloon."""
    others = [
        other
        for other in photos(photo.split)
        if other.subject is not None and other.name != photo.name
    ]
    choice = int(random.integers(len(others) + 2))
    if choice < len(others):
        return _pasted(photo, others[choice], random)
    return _ball(photo, random, balloon=choice == len(others))


def _pasted(photo: Photo, other: Photo, random: Generator) -> Placed:
    below = photo.pixels
    height, width, _ = below.shape
    thing, cut = _cutout(other)
    standing = other.subject is not None and other.subject[3] == 1
    scale = np.sqrt(random.uniform(0.03, 0.11) * height * width / cut.sum())
    scale = min(scale, 0.85 * height / cut.shape[0], 0.7 * width / cut.shape[1])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    thing = cv2.resize(thing, None, fx=scale, fy=scale, interpolation=method)
    cut = np.clip(cv2.resize(cut, None, fx=scale, fy=scale, interpolation=method), 0.0, 1.0)
    if random.random() < 0.5:
        thing, cut = thing[:, ::-1], cut[:, ::-1]
    tall, wide = cut.shape
    left = int(random.integers(0, width - wide + 1))
    # What a photo cuts off at its lower edge can stand nowhere else.
    top = height - tall if standing else int(random.integers(0, height - tall + 1))
    area = slice(top, top + tall), slice(left, left + wide)
    alpha = np.zeros((height, width), np.float32)
    alpha[area] = cut
    above = below.copy()
    above[area] = _lit_as(desaturated(thing) if not photo.coloured else thing, below[area])
    name = _NAMES[other.name]
    if standing:
        return Placed(blend(below, above, alpha), alpha, name)
    return _with_shadow(below, above, alpha, name, random)


def _cutout(photo: Photo) -> tuple[RGB, Alpha]:
    """The main thing of ``photo`` and its mask, cut to its bounds."""
    alpha = regions.subject(photo)
    rows = np.flatnonzero(alpha.max(axis=1) > 0.02)
    columns = np.flatnonzero(alpha.max(axis=0) > 0.02)
    area = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return photo.pixels[area], alpha[area]


def _ball(photo: Photo, random: Generator, *, balloon: bool) -> Placed:
    """A shaded ball: diffuse light from the upper left, and a highlight."""
    below = photo.pixels
    height, width, _ = below.shape
    side = np.sqrt(height * width)
    radius = float(random.uniform(0.07, 0.16)) * side
    tall = radius * (1.2 if balloon else 1.0)
    x = random.uniform(1.1 * radius, width - 1.1 * radius)
    y = random.uniform(1.1 * tall, max(1.2 * tall, height - (2.2 if balloon else 1.15) * tall))
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    across, down = (columns - x) / radius, (rows - y) / tall
    distance = np.hypot(across, down)
    outwards = np.sqrt(np.clip(1.0 - distance**2, 0.0, 1.0))
    diffuse = np.clip(-0.5 * across - 0.55 * down + 0.67 * outwards, 0.0, 1.0)
    highlight = np.exp(-((across + 0.38) ** 2 + (down + 0.42) ** 2) / 0.018)
    name, colour = _PAINTS[int(random.integers(len(_PAINTS)))]
    light = (0.35 + 0.75 * diffuse)[..., None]
    above = rounded(np.array(colour, np.float32) * light + 190.0 * highlight[..., None])
    alpha = np.clip((1.0 - distance) * radius + 0.5, 0.0, 1.0).astype(np.float32)
    if balloon:
        above, alpha = _with_string(above, alpha, (x, y + tall), radius, colour)
    if not photo.coloured:
        above, name = desaturated(above), "grey"
    thing = f"a {name} balloon" if balloon else f"a {name} ball"
    if balloon:
        return Placed(blend(below, above, alpha), alpha, thing)
    return _with_shadow(below, above, alpha, thing, random)


_PAINTS = (
    ("red", (214, 40, 44)),
    ("blue", (44, 96, 210)),
    ("green", (48, 160, 80)),
    ("yellow", (240, 196, 40)),
    ("purple", (140, 60, 170)),
)


def _with_string(
    above: RGB,
    alpha: Alpha,
    end: tuple[float, float],
    radius: float,
    colour: tuple[int, int, int],
) -> tuple[RGB, Alpha]:
    """Add the knot of a balloon at ``end`` (x, y), and its string."""
    x, y = end
    knot = 0.09 * radius
    steps = np.linspace(0.0, 1.0, 24)
    string = np.stack((x + 0.1 * radius * np.sin(6 * steps), y + knot + radius * steps), -1)
    triangle = np.array([(x, y - knot), (x - knot, y + knot), (x + knot, y + knot)])
    above, alpha = above.copy(), alpha.copy()
    fixed = 4  # binary places of OpenCV's coordinates, for smooth lines
    points = [np.rint(line * 2**fixed).astype(np.int32) for line in (string, triangle)]
    thick = max(1, round(0.03 * radius))
    for canvas, line, fill in ((above, (70, 66, 62), colour), (alpha, 0.9, 1.0)):
        cv2.polylines(canvas, [points[0]], False, line, thick, cv2.LINE_AA, fixed)
        cv2.fillPoly(canvas, [points[1]], fill, cv2.LINE_AA, fixed)
    return above, alpha


def _with_shadow(below: RGB, above: RGB, alpha: Alpha, name: str, random: Generator) -> Placed:
    """Lay ``above`` over ``below``, and under it a soft shadow to the lower right."""
    reach = 0.12 * float(np.sqrt(alpha.sum()))
    moved = np.array(((1, 0, 0.7 * reach), (0, 1, 0.6 * reach)), np.float32)
    shadow = cv2.warpAffine(alpha, moved, alpha.shape[::-1])
    shadow = cv2.GaussianBlur(shadow, (0, 0), max(1.0, 0.5 * reach))
    depth = float(random.uniform(0.3, 0.55))
    shaded = rounded(below * (1.0 - depth * shadow[..., None]))
    covered = np.maximum(alpha, depth * shadow)
    return Placed(blend(shaded, above, alpha), covered, name)


def _lit_as(thing: RGB, place: RGB) -> RGB:
    """Bring the light on ``thing`` a third of the way to that of its ``place``."""
    lab = to_lab(thing)
    lab[..., 0] += 0.33 * (float(to_lab(place)[..., 0].mean()) - float(lab[..., 0].mean()))
    lab[..., 0] = np.clip(lab[..., 0], 0.0, 100.0)
    return to_rgb(lab)
