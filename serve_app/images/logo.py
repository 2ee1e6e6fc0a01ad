"""A logo laid over a picture, pixel by pixel: a model would draw another one.

Files lose their alpha channel when they are stored, so a logo comes back on white, or on
whatever it was made on. ``with_transparency`` takes that off again.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serve_app.images.pixels import RGB

RGBA = NDArray[np.uint8]
"""Pixels of shape (height, width, 4), uint8: sRGB and opacity, not premultiplied."""

_FLAT = 12
"""Levels by which a flat colour may vary: what JPEG leaves of one."""

_BORDER_SHARE = 0.99
"""Least share of the border's pixels that are of one colour."""

_FRINGE = 2
"""How far smoothing mixes the background into the logo, pixels."""

_OFF_THE_LINE = 30.0
"""Levels by which a mixture may differ from the line between both colours."""


class Position(StrEnum):
    """Where on a picture a logo lies."""

    TOP_LEFT = "top_left"
    TOP = "top"
    TOP_RIGHT = "top_right"
    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"
    BOTTOM_LEFT = "bottom_left"
    BOTTOM = "bottom"
    BOTTOM_RIGHT = "bottom_right"


def place_logo(
    pixels: RGB,
    logo: NDArray[np.uint8],
    position: Position,
    width_share: float = 0.2,
    margin_share: float = 0.04,
) -> RGB:
    """Return ``pixels`` (height, width, 3) with ``logo`` (h, w, 3 or 4) over them.

    The logo is ``width_share`` of the picture's width, or less where it would be higher than
    twice that share of the picture's height or reach into the margin. The margin is
    ``margin_share`` of the picture's shorter side. Every pixel that the logo does not cover
    stays bit-identical. Raises ``ValueError`` for shares out of (0, 1] and [0, 0.5).
    """
    if not 0.0 < width_share <= 1.0 or not 0.0 <= margin_share < 0.5:
        raise ValueError("width_share must be in (0, 1] and margin_share in [0, 0.5)")
    height, width, _ = pixels.shape
    margin = round(margin_share * min(width, height))
    scaled = _scaled(logo, pixels.shape[:2], width_share, margin)
    tall, wide, _ = scaled.shape
    left = _start(position, "left", "right", width, wide, margin)
    top = _start(position, "top", "bottom", height, tall, margin)
    placed = pixels.copy()
    below = placed[top : top + tall, left : left + wide]
    opacity = scaled[..., 3:].astype(np.float32) / 255.0
    mixed = below + (scaled[..., :3].astype(np.float32) - below) * opacity
    below[:] = np.rint(mixed).astype(np.uint8)
    return placed


def taken_off_white(rgb: RGB, opacity: NDArray[np.uint8]) -> RGBA:
    """Return the logo that was laid on white (height, width, 3) with its ``opacity`` (h, w).

    Laid on white again it is ``rgb``: stored = white + opacity * (colour - white).
    """
    share = opacity[..., None].astype(np.float32) / 255.0
    ink = (rgb.astype(np.float32) - 255.0 * (1.0 - share)) / np.maximum(share, 1 / 255)
    colour = ink.round().clip(0, 255).astype(np.uint8)
    return np.dstack((colour, opacity))


def with_transparency(rgb: RGB) -> RGBA:
    """Return an opaque logo (height, width, 3) without the flat colour around it.

    If its whole border is of one colour, what of that colour hangs together with the border
    becomes transparent. Pixels next to it are taken as mixtures with the strongest colour
    nearby, and parted into that colour and its opacity: edges stay smooth on any ground. What
    the logo encloses stays. Any other logo is returned opaque.
    """
    height, width, _ = rgb.shape
    opaque = np.dstack((rgb, np.full((height, width), 255, np.uint8)))
    border = np.concatenate((rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1])).astype(np.int16)
    ground = np.rint(np.median(border, axis=0)).astype(np.int16)
    if (np.abs(border - ground).max(axis=1) <= _FLAT).mean() < _BORDER_SHARE:
        return opaque
    strength = np.abs(rgb - ground).max(axis=-1)
    outside = _from_border(strength <= _FLAT)
    if outside.all():
        return opaque
    return _parted(opaque, ground, strength, outside)


def _from_border(alike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of ``alike`` hangs together with the border."""
    count, labels = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
    touching = np.zeros(count, np.bool_)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        touching[edge] = True
    touching[0] = False
    found: NDArray[np.bool_] = touching[labels]
    return found


def _parted(
    opaque: RGBA,
    ground: NDArray[np.int16],
    strength: NDArray[np.int16],
    outside: NDArray[np.bool_],
) -> RGBA:
    """``opaque`` with the outside transparent and its fringe un-mixed from ``ground``."""
    height, width = outside.shape
    square = np.ones((2 * _FRINGE + 1, 2 * _FRINGE + 1), np.uint8)
    near = cv2.dilate(outside.astype(np.uint8), square).astype(np.bool_)
    rows, columns = np.nonzero(near & ~outside)
    best = strength[rows, columns]
    pure = opaque[rows, columns, :3].astype(np.float32)
    reach = range(-_FRINGE, _FRINGE + 1)
    for down, across in product(reach, reach):
        other = np.clip(rows + down, 0, height - 1), np.clip(columns + across, 0, width - 1)
        stronger = strength[other] > best
        best = np.where(stronger, strength[other], best)
        pure = np.where(stronger[:, None], opaque[other][:, :3], pure)
    mixed = opaque[rows, columns, :3].astype(np.float32) - ground
    line = pure - ground
    share = (mixed * line).sum(axis=1) / np.maximum((line**2).sum(axis=1), 1.0)
    share = np.clip(share, 0.0, 1.0)
    is_mixture = np.linalg.norm(mixed - share[:, None] * line, axis=1) <= _OFF_THE_LINE
    parted = opaque.copy()
    parted[outside] = 0
    colour = np.where(is_mixture[:, None], pure, opaque[rows, columns, :3])
    opacity = np.where(is_mixture, share, 1.0) * 255.0
    parted[rows, columns] = np.rint(np.column_stack((colour, opacity))).astype(np.uint8)
    return parted


def _scaled(
    logo: NDArray[np.uint8], size: tuple[int, ...], width_share: float, margin: int
) -> RGBA:
    """The logo at its size on a picture of ``size`` (height, width).

    Pillow premultiplies RGBA before it resamples: transparent pixels lend no colour to edges.
    """
    height, width = size
    tall, wide, channels = logo.shape
    room_across = min(width_share * width, width - 2 * margin)
    room_down = min(2.0 * width_share * height, height - 2 * margin)
    scale = min(room_across / wide, room_down / tall)
    target = max(1, round(wide * scale)), max(1, round(tall * scale))
    rgba = logo if channels == 4 else np.dstack((logo, np.full((tall, wide), 255, np.uint8)))
    image = Image.fromarray(np.ascontiguousarray(rgba))
    return np.asarray(image.resize(target, Image.Resampling.LANCZOS))


def _start(position: Position, low: str, high: str, length: int, own: int, margin: int) -> int:
    """Where on an axis of ``length`` pixels a logo of ``own`` pixels begins."""
    words = position.value.split("_")
    if low in words:
        return min(margin, length - own)
    if high in words:
        return max(0, length - own - margin)
    return (length - own) // 2
