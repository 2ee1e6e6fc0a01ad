"""Generated scenes: one thing, of which the box is known, somewhere before a background."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from serve_app.images.masks import Box, bounding_box
from serve_app.images.pixels import RGB

Floats = NDArray[np.float64]

SIZES = ((640, 480), (480, 640), (560, 560), (800, 450), (450, 800))
"""(width, height) of the scenes, pixels."""

SHARES = (0.1, 0.35)
"""Sides of the thing, as shares of the scene's."""

_APART = 15.0
"""CIEDE2000 between the mean colours of the thing and of what it hides: it can be seen."""

_PHOTOS = (
    "grass.png",
    "gravel.png",
    "brick.png",
    "ihc.png",
    "moon.png",
    "hubble_deep_field.jpg",
    "rocket.jpg",
    "coffee.png",
)
"""Photos in the wheel of scikit-image. Those with a thing of their own (the last two) give a
part without it."""

_PARTS = {"rocket.jpg": (0.34, 0.0, 0.52, 0.4), "coffee.png": (0.0, 0.72, 0.3, 1.0)}
"""Left, top, right, bottom of the part, as shares: the evening sky, the table."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """``pixels`` (height, width, 3) with a thing in ``box``, before a ``background``."""

    pixels: RGB
    box: Box
    background: str


def scenes(count: int, crop_shares: Callable[[int, int], tuple[float, float]]) -> Iterator[Scene]:
    """Yield ``count`` scenes, the same in every run.

    ``crop_shares`` tells which shares of a scene of (width, height) the narrowest crop has on
    each axis: a thing takes at most nine tenths of them, so that every crop can hold it.
    """
    backgrounds = list(_BACKGROUNDS)
    for number in range(count):
        random = np.random.default_rng(number)
        size = SIZES[number % len(SIZES)]
        kind = backgrounds[number // len(SIZES) % len(backgrounds)]
        below = _BACKGROUNDS[kind](random, size)
        yield _with_thing(below, random, crop_shares(*size), kind)


# Backgrounds.


def _gradient(random: Generator, size: tuple[int, int]) -> Floats:
    width, height = size
    angle = random.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:height, :width]
    along = np.cos(angle) * columns / width + np.sin(angle) * rows / height
    along = (along - along.min()) / np.ptp(along)
    first, last = _colour(random), _colour(random)
    last = first + (last - first) * random.uniform(0.2, 0.7)
    return first + (last - first) * along[..., None] + random.normal(0, 2, (height, width, 1))


def _noise(random: Generator, size: tuple[int, int]) -> Floats:
    width, height = size
    mean = _colour(random)
    return mean + random.normal(0, random.uniform(8, 30), (height, width, 3))


def _clouds(random: Generator, size: tuple[int, int]) -> Floats:
    """Noise of all scales, the wide ones the strongest."""
    width, height = size
    total = np.zeros((height, width))
    for side in (4, 8, 16, 32, 64, 128):
        coarse = random.normal(0, 1, (side, side))
        total += cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC) * (4 / side) ** 0.8
    colour = _colour(random) - 128
    return 128 + colour + total[..., None] * random.uniform(8, 16) * random.uniform(0.6, 1, 3)


def _pattern(random: Generator, size: tuple[int, int]) -> Floats:
    """Stripes or checks, in two related colours."""
    width, height = size
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    angle, period = random.uniform(0, np.pi), random.uniform(8, 40)
    wave = np.sin(2 * np.pi * (np.cos(angle) * columns + np.sin(angle) * rows) / period)
    if random.random() < 0.5:
        wave *= np.sin(2 * np.pi * (np.cos(angle) * rows - np.sin(angle) * columns) / period)
    colour = _colour(random)
    other = colour + random.uniform(-45, 45, 3)
    return colour + (other - colour) * (np.tanh(3 * wave)[..., None] + 1) / 2


def _photo(random: Generator, size: tuple[int, int]) -> Floats:
    """A random part of a photo of some material, tinted if it is grey."""
    photo = _read(_PHOTOS[int(random.integers(len(_PHOTOS)))])
    height, width, _ = photo.shape
    scale = min(width / size[0], height / size[1]) * random.uniform(0.6, 1.0)
    wide, tall = int(size[0] * scale), int(size[1] * scale)
    left = int(random.integers(0, width - wide + 1))
    top = int(random.integers(0, height - tall + 1))
    part = Image.fromarray(photo[top : top + tall, left : left + wide])
    pixels = np.asarray(part.resize(size, Image.Resampling.LANCZOS)).astype(np.float64)
    tint = random.uniform(0.75, 1.1, 3) if np.ptp(photo, axis=2).max() == 0 else 1.0
    return pixels * tint


_BACKGROUNDS: dict[str, Callable[[Generator, tuple[int, int]], Floats]] = {
    "gradient": _gradient,
    "noise": _noise,
    "clouds": _clouds,
    "pattern": _pattern,
    "photo": _photo,
}


@cache
def _read(name: str) -> RGB:
    with as_file(files("skimage.data") / name) as path, Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    height, width, _ = pixels.shape
    left, top, right, bottom = _PARTS.get(name, (0.0, 0.0, 1.0, 1.0))
    return pixels[
        round(top * height) : round(bottom * height), round(left * width) : round(right * width)
    ]


# Things.


def _with_thing(
    below: Floats, random: Generator, shares: tuple[float, float], background: str
) -> Scene:
    height, width, _ = below.shape
    wide, tall = (
        round(length * random.uniform(SHARES[0], min(SHARES[1], 0.9 * share)))
        for length, share in zip((width, height), shares, strict=True)
    )
    left = int(random.integers(0, width - wide + 1))
    top = int(random.integers(0, height - tall + 1))
    shape = _shape(random, wide, tall)
    alpha = np.zeros((height, width))
    alpha[top : top + tall, left : left + wide] = shape
    reach = 0.06 * np.sqrt(wide * tall)
    moved = np.array(((1, 0, reach), (0, 1, reach)), np.float64)
    shadow = cv2.GaussianBlur(cv2.warpAffine(alpha, moved, (width, height)), (0, 0), reach)
    shaded = np.clip(below, 0, 255) * (1 - 0.35 * shadow[..., None])
    hidden = shaded[alpha > 0.5].mean(axis=0)
    painted = _painted(random, _seen_before(random, hidden), (height, width))
    pixels = shaded + (painted - shaded) * alpha[..., None]
    box = bounding_box(alpha > 0.5)
    if box is None:
        raise ValueError("the thing has no pixels")
    return Scene(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), box, background)


def _shape(random: Generator, wide: int, tall: int) -> Floats:
    """An ellipse, a box with round corners, a star or a bottle, that fills ``wide`` x ``tall``."""
    fine = 4
    canvas = np.zeros((tall * fine, wide * fine), np.uint8)
    points = _outline(int(random.integers(4)), int(random.integers(5, 9)))
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / (high - low) * (wide * fine - 1, tall * fine - 1)
    cv2.fillPoly(canvas, [np.rint(scaled).astype(np.int32)], 255)
    return cv2.resize(canvas, (wide, tall), interpolation=cv2.INTER_AREA) / 255.0


def _outline(kind: int, spikes: int) -> Floats:
    turn = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    circle = np.stack((np.cos(turn), np.sin(turn)), axis=1)
    if kind == 0:
        return circle
    if kind == 1:
        return np.sign(circle) * np.abs(circle) ** 0.35
    if kind == 2:
        return circle * (1 + 0.4 * np.sign(np.cos(spikes * turn)))[:, None]
    half = [(0.3, -1.0), (0.3, -0.55), (0.9, -0.2), (0.9, 1.0)]
    return np.array([*half, *((-x, y) for x, y in reversed(half))])


def _painted(random: Generator, colour: Floats, size: tuple[int, int]) -> Floats:
    """The surface of a thing: plain, lit from above, or striped."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float64)
    kind = int(random.integers(3))
    if kind == 0:
        light = np.zeros(size)
    elif kind == 1:
        light = 30 * np.cos(rows / size[0] * 7 + random.uniform(0, 6))
    else:
        light = 25 * np.sign(np.sin((rows + columns) / random.uniform(3, 9)))
    return colour + light[..., None]


def _seen_before(random: Generator, hidden: Floats) -> Floats:
    """A colour that differs visibly from the one it hides."""
    while True:
        colour = random.uniform(20, 235, 3)
        pair = np.array([[colour], [hidden]]) / 255.0
        lab = rgb2lab(np.clip(pair, 0, 1))
        if float(deltaE_ciede2000(lab[0, 0], lab[1, 0])) >= _APART:
            return colour


def _colour(random: Generator) -> Floats:
    return random.uniform(50, 205, 3)
