"""Good local edits: recoloured, lit, covered, put in, taken away, with and without a mask."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.random import Generator

from benchmarks.quality import objects, regions
from benchmarks.quality.edit import Edit, Kind, Make, anywhere, local
from benchmarks.quality.lab import Alpha, blend, desaturated, rounded, to_lab, to_rgb
from benchmarks.quality.photos import Photo, photos
from serve_app.edits.request import EditType
from serve_app.images.masks import Editable, bounding_box, from_box
from serve_app.images.pixels import RGB

_HUES = {
    "red": 35.0,
    "orange": 60.0,
    "yellow": 95.0,
    "green": 145.0,
    "blue": 285.0,
    "purple": 320.0,
}
"""Angle in the plane of a and b, degrees."""

_PLACES = 12
"""How many places are tried for what could fill a hole."""


def recolour(photo: Photo, random: Generator) -> Edit:
    """Give a part another hue and keep its light and shade."""
    part = regions.region(photo, random)
    name, painted = painted_over(photo.pixels, part, random)
    return _of(photo, painted, part, f"Make the part {_where(part)} {name}.")


def painted_over(pixels: RGB, part: Alpha, random: Generator) -> tuple[str, RGB]:
    """Return a colour far from what ``part`` of ``pixels`` has, and it painted so."""
    lab = to_lab(pixels)
    inside = part > 0.5
    mean = lab[inside].mean(axis=0)
    hue = float(np.degrees(np.arctan2(mean[2], mean[1]))) % 360.0
    grey = np.hypot(mean[1], mean[2]) < 8.0
    far = [
        name
        for name, angle in _HUES.items()
        if grey or abs((angle - hue + 180.0) % 360.0 - 180.0) > 60.0
    ]
    name = far[int(random.integers(len(far)))]
    angle = np.radians(_HUES[name])
    chroma = np.maximum(np.hypot(lab[..., 1], lab[..., 2]), random.uniform(32.0, 52.0))
    lab[..., 1], lab[..., 2] = chroma * np.cos(angle), chroma * np.sin(angle)
    # Very dark and very bright things hold no colour.
    lift = np.clip(float(mean[0]), 38.0, 72.0) - float(mean[0])
    lab[..., 0] = np.clip(lab[..., 0] + lift, 4.0, 97.0)
    return name, blend(pixels, to_rgb(lab), part)


def light(photo: Photo, random: Generator) -> Edit:
    """Put a part in brighter light, or darken one that is bright."""
    part = regions.region(photo, random)
    lab = to_lab(photo.pixels)
    dark = float(lab[part > 0.5][:, 0].mean()) < 62.0
    gain = float(random.uniform(1.45, 1.9)) if dark else float(random.uniform(0.5, 0.66))
    lab[..., 0] = np.clip(lab[..., 0] * gain + (8.0 if dark else 0.0), 0.0, 98.0)
    word = "brighter" if dark else "darker"
    edited = blend(photo.pixels, to_rgb(lab), part)
    return _of(photo, edited, part, f"Make the part {_where(part)} {word}.")


def cover(photo: Photo, random: Generator) -> Edit:
    """Give a part the surface of another photo, under its own light."""
    part = regions.region(photo, random)
    others = [other for other in photos(photo.split) if other.texture and other.name != photo.name]
    other = others[int(random.integers(len(others)))]
    surface = to_lab(fitted(other.pixels, photo.pixels.shape))
    own = to_lab(photo.pixels)[..., 0]
    shade = cv2.GaussianBlur(own, (0, 0), 0.02 * max(own.shape))
    middle = float(surface[..., 0].mean())
    surface[..., 0] = np.clip(0.6 * shade + 18.0 + 0.9 * (surface[..., 0] - middle), 0.0, 100.0)
    covering = to_rgb(surface)
    edited = blend(photo.pixels, covering if photo.coloured else desaturated(covering), part)
    return _of(photo, edited, part, f"Cover the part {_where(part)} with {other.name}.")


def put_in(photo: Photo, random: Generator) -> Edit:
    """Put a thing in, with its shadow."""
    placed = objects.place(photo, random)
    return _of(photo, placed.pixels, placed.alpha, f"Add {placed.name} {_where(placed.alpha)}.")


def take_out(photo: Photo, random: Generator) -> Edit:
    """Take a thing out, as if what it hid were known."""
    added = put_in(photo, random)
    prompt = added.prompt.replace("Add an ", "Remove the ").replace("Add a ", "Remove the ")
    return replace(added, original=added.edited, edited=added.original, prompt=prompt)


def fill(photo: Photo, random: Generator) -> Edit:
    """Remove a part by filling it from elsewhere."""
    part = regions.region(photo, random)
    edited = filled(photo.pixels, part, random)
    return _of(photo, edited, part, f"Remove the thing {_where(part)}.")


def filled(pixels: RGB, part: Alpha, random: Generator) -> RGB:
    """Return ``pixels`` with ``part`` made up from another place that goes with its rim.

    Of some places the one whose surroundings are most alike is copied, its colours brought
    to those around by a smooth correction.
    """
    hole = regions.dilated(part, 0.004)
    rim = regions.dilated(part, 0.03) & ~hole
    exact = pixels.astype(np.float32)
    moves = (_move(hole, random) for _ in range(_PLACES))
    copies = (np.roll(exact, move, axis=(0, 1)) for move in moves)
    copy = min(copies, key=lambda copied: float(np.abs(copied - exact)[rim].mean()))
    known = (rim | ~regions.dilated(part, 0.03)).astype(np.float32)
    reach = 0.02 * max(pixels.shape)
    weight = cv2.GaussianBlur(known, (0, 0), reach)[..., None]
    correction = cv2.GaussianBlur((exact - copy) * known[..., None], (0, 0), reach)
    soft = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 1.5)
    corrected = rounded(copy + correction / np.maximum(weight, 1e-3) * (weight > 1e-3))
    return blend(pixels, corrected, np.maximum(soft, hole))


def _move(hole: Editable, random: Generator) -> tuple[int, int]:
    """Draw how far (down, across) a part of the photo is moved to lie in ``hole``."""
    box = bounding_box(hole)
    height, width = hole.shape
    if box is None:
        return 0, 0
    top = int(random.integers(0, height - (box.bottom - box.top) + 1))
    left = int(random.integers(0, width - (box.right - box.left) + 1))
    return box.top - top, box.left - left


def masked(make: Make) -> Make:
    """``make`` with a mask around what it touches: its outline with a margin, or a box."""

    def with_mask(photo: Photo, random: Generator) -> Edit:
        edit = make(photo, random)
        editable = regions.dilated(edit.touched, float(random.uniform(0.005, 0.03)))
        box = bounding_box(editable)
        if box is not None and random.random() < 0.5:
            editable = from_box(box, editable.shape[1], editable.shape[0])
        return replace(edit, mask=editable)

    return with_mask


def fitted(pixels: RGB, shape: tuple[int, ...]) -> RGB:
    """``pixels`` scaled to cover ``shape``, its middle cut out."""
    height, width = shape[:2]
    scale = max(height / pixels.shape[0], width / pixels.shape[1])
    size = (max(width, round(pixels.shape[1] * scale)), max(height, round(pixels.shape[0] * scale)))
    scaled = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return scaled[top : top + height, left : left + width]


def _of(photo: Photo, edited: RGB, part: Alpha, prompt: str) -> Edit:
    return Edit(photo.pixels, edited, prompt, part)


def _where(part: Alpha) -> str:
    """Where in the picture the middle of ``part`` is, in words."""
    rows, columns = np.nonzero(part > 0.5)
    down, across = rows.mean() / part.shape[0], columns.mean() / part.shape[1]
    tall = "at the top" if down < 0.33 else "at the bottom" if down > 0.67 else "in the middle"
    wide = " on the left" if across < 0.33 else " on the right" if across > 0.67 else ""
    return tall + wide


def _textured(photo: Photo) -> bool:
    """Whether filling a part leaves it visibly other than it was."""
    return photo.detailed and photo.bright and photo.plain


KINDS = tuple(
    Kind(name, EditType.APPEARANCE, local(make), suits)
    for name, make, suits in (
        ("recolour", recolour, anywhere),
        ("light", light, anywhere),
        ("cover", cover, anywhere),
        ("put_in", put_in, anywhere),
        ("take_out", take_out, anywhere),
        ("fill", fill, _textured),
        ("recolour_masked", masked(recolour), anywhere),
        ("put_in_masked", masked(put_in), anywhere),
        ("fill_masked", masked(fill), _textured),
    )
)
