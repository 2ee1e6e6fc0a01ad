"""Draws a scene: what is in it decides every pixel.

Lengths are shares of the picture's side, so a scene looks alike at every size. Edges are
antialiased; shapes and backgrounds carry smooth shading, as flat ones would be too easy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from serve_app.engine.miniature.vocabulary import BACKGROUND_COLOURS, COLOURS
from serve_app.images.pixels import RGB

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SIGN_ROW = 2
"""Row of the three that a sign takes up."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One object: ``x``, ``y`` are its centre, ``radius`` its size, shares of the side."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float

    @property
    def cell(self) -> int:
        """Index of the cell it lies in, row by row in a grid of three by three."""
        return 3 * int(3 * self.y) + int(3 * self.x)


@dataclass(frozen=True, slots=True)
class Background:
    """A colour and how it fills the picture: ``plain``, ``gradient`` or ``stripes``."""

    colour: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything there is in one picture."""

    background: Background
    things: tuple[Thing, ...]
    word: str | None = None
    style: str | None = None

    def with_thing(self, index: int, **changes: object) -> Scene:
        """This scene with one object changed."""
        changed = replace(self.things[index], **changes)  # type: ignore[arg-type]
        return replace(self, things=(*self.things[:index], changed, *self.things[index + 1 :]))

    def without_thing(self, index: int) -> Scene:
        """This scene without one object."""
        return replace(self, things=self.things[:index] + self.things[index + 1 :])


def cell_centre(cell: int) -> tuple[float, float]:
    """Centre (x, y) of a cell of the grid, shares of the side."""
    row, column = divmod(cell, 3)
    return (column + 0.5) / 3, (row + 0.5) / 3


def draw(scene: Scene, side: int) -> RGB:
    """Draw a scene: (side, side, 3) uint8, sRGB."""
    canvas = _background(scene.background, side)
    for thing in scene.things:
        _paint(canvas, _coverage(thing, side), _shaded(thing, side))
    if scene.word is not None:
        _paint_sign(canvas, scene.word, side)
    if scene.style is not None:
        canvas = STYLES[scene.style](canvas)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def _paint(canvas: Plane, coverage: Plane, colour: Plane) -> None:
    canvas += coverage[..., None] * (colour - canvas)


def _background(background: Background, side: int) -> Plane:
    colour = np.array(BACKGROUND_COLOURS[background.colour], np.float32)
    y, x = _grid(side)
    match background.pattern:
        case "gradient":
            light = 1.04 - 0.3 * y
        case "stripes":
            light = 0.91 + 0.09 * np.sin(2 * np.pi * 6 * (x + y))
        case _:
            light = np.ones_like(y)
    return (light[..., None] * colour).astype(np.float32)


@cache
def _grid(side: int) -> tuple[Plane, Plane]:
    """Coordinates y and x of the pixels' centres, shares of the side."""
    centres = (np.arange(side, dtype=np.float32) + 0.5) / side
    y, x = np.meshgrid(centres, centres, indexing="ij")
    return y.astype(np.float32), x.astype(np.float32)


def _shaded(thing: Thing, side: int) -> Plane:
    """The object's colour, lit from above: (side, side, 3)."""
    y, _ = _grid(side)
    down = np.clip((y - thing.y) / thing.radius, -1, 1)
    light = 1.0 - 0.12 * down
    colour = np.array(COLOURS[thing.colour], np.float32)
    return np.clip(light[..., None] * colour, 0, 255).astype(np.float32)


def _coverage(thing: Thing, side: int) -> Plane:
    """Share of every pixel that lies in the object: (side, side), 0..1."""
    corners = np.array([thing.x, thing.y]) + thing.radius * _outline(thing.shape)
    # OpenCV's pixel centres are whole numbers, and it takes sixteenths of pixels.
    points = np.rint(16 * (side * corners - 0.5)).astype(np.int32)
    filled = np.zeros((side, side), np.uint8)
    cv2.fillPoly(filled, [points], 255, lineType=cv2.LINE_AA, shift=4)
    return (filled / 255).astype(np.float32)


@cache
def _outline(shape: str) -> npt.NDArray[np.float64]:
    """Corners (n, 2) of a shape of radius one around the origin, y pointing down."""
    match shape:
        case "square":
            return 0.82 * _regular(4, 45)
        case "diamond":
            return _regular(4, 0) * np.array([0.72, 1.0])
        case "triangle":
            return _regular(3, -90) + np.array([0, 0.12])
        case "star":
            corners = _regular(10, -90)
            corners[1::2] *= 0.45
            return corners
        case "heart":
            t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
            x = 16 * np.sin(t) ** 3
            y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
            return np.stack([x, -y - 2], axis=1) / 17
        case _:
            return 0.9 * _regular(48, 0)


def _regular(corners: int, turned: float) -> npt.NDArray[np.float64]:
    angles = np.deg2rad(turned + np.arange(corners) * 360 / corners)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


# The sign: a white board with a dark frame in the lowest row, letters at fixed places.
_BOARD = (0.03, 0.74, 0.97, 0.97)  # left, top, right, bottom
_FRAME = 0.025
_PITCH = 0.172
_LETTER_HEIGHT = 0.203
INK_LEVEL, BOARD_LEVEL = 30.0, 250.0
"""How dark letters and frame are, and how light the board is, 0..255."""


def letter_boxes(length: int, side: int) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of each letter of a word of ``length``, pixels."""
    left, top, right, bottom = _BOARD
    first = (left + right) / 2 - (length - 1) / 2 * _PITCH
    half = _PITCH / 2
    return [
        (
            round(side * (first + i * _PITCH - half)),
            round(side * (top + _FRAME)),
            round(side * (first + i * _PITCH + half)),
            round(side * (bottom - _FRAME)),
        )
        for i in range(length)
    ]


def board_box(side: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the sign's board with its frame, pixels."""
    left, top, right, bottom = (round(side * edge) for edge in _BOARD)
    return left, top, right, bottom


def _paint_sign(canvas: Plane, word: str, side: int) -> None:
    left, top, right, bottom = board_box(side)
    frame = max(1, round(side * _FRAME))
    canvas[top:bottom, left:right] = INK_LEVEL
    canvas[top + frame : bottom - frame, left + frame : right - frame] = BOARD_LEVEL
    for letter, (x0, y0, x1, y1) in zip(word, letter_boxes(len(word), side), strict=True):
        ink = letter_ink(letter, y1 - y0, x1 - x0, side)
        # A wide letter may reach over its box; what is dark already stays dark.
        canvas[y0:y1, x0:x1] = np.minimum(
            canvas[y0:y1, x0:x1], (BOARD_LEVEL - ink * (BOARD_LEVEL - INK_LEVEL))[..., None]
        )


@cache
def letter_ink(letter: str, height: int, width: int, side: int) -> Plane:
    """How much ink a letter leaves on every pixel of its box: (height, width), 0..1."""
    font = ImageFont.load_default(round(side * _LETTER_HEIGHT))
    box = Image.new("L", (width, height))
    ImageDraw.Draw(box).text(
        (width / 2, height / 2), letter, font=font, fill=255, anchor="mm", stroke_width=side / 128
    )
    return (np.asarray(box) / 255).astype(np.float32)


_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in luma (ITU-R BT.601)."""


def _grey(canvas: Plane) -> Plane:
    return np.repeat((canvas @ _LUMA)[..., None], 3, axis=2).astype(np.float32)


def _sepia(canvas: Plane) -> Plane:
    return (_grey(canvas) * np.array([1.07, 0.86, 0.62])).astype(np.float32)


def _inverted(canvas: Plane) -> Plane:
    return 255 - canvas


def _outlined(canvas: Plane) -> Plane:
    """Dark lines on white where the brightness or the colour changes."""
    soft = cv2.GaussianBlur(canvas, (0, 0), canvas.shape[0] / 100)
    steps = [np.linalg.norm(np.gradient(soft, axis=axis), axis=2) for axis in (0, 1)]
    strength = np.clip((np.hypot(*steps) * canvas.shape[0] / 64 - 12) / 24, 0, 1)
    return np.repeat((250 - 200 * strength)[..., None], 3, axis=2).astype(np.float32)


def _night(canvas: Plane) -> Plane:
    return (0.36 * canvas + np.array([4, 8, 36])).astype(np.float32)


STYLES: dict[str, Callable[[Plane], Plane]] = {
    "grey": _grey,
    "sepia": _sepia,
    "inverted": _inverted,
    "outline": _outlined,
    "night": _night,
}
