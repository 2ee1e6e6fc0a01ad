"""Signs in a photo: a board that hangs a little askew, with lines in a real font."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.quality.lab import Alpha, blend, desaturated, rounded
from benchmarks.quality.words import Language
from serve_app.images.masks import Box
from serve_app.images.pixels import RGB

SMALLEST, LARGEST = 22, 64
"""Height of capitals, or of Chinese and Korean characters, in pixels of the photo."""

_SMALLEST_BARE = 34
"""The same for letters on the photo itself, between whose details they have to be found."""

_FONTS = Path("/usr/share/fonts/truetype")
_FACES: dict[Language, tuple[str, ...]] = {
    Language.EN: (
        "dejavu/DejaVuSans.ttf",
        "dejavu/DejaVuSans-Bold.ttf",
        "dejavu/DejaVuSerif.ttf",
        "dejavu/DejaVuSerif-Bold.ttf",
        "dejavu/DejaVuSansMono.ttf",
    ),
    Language.ZH: ("wqy/wqy-zenhei.ttc",),
    Language.KO: (
        "nanum/NanumGothic.ttf",
        "nanum/NanumGothicBold.ttf",
        "nanum/NanumSquareB.ttf",
        "nanum/NanumMyeongjoBold.ttf",
    ),
}
_PACKAGES = {
    "dejavu": "fonts-dejavu-core",
    "wqy": "fonts-wqy-zenhei",
    "nanum": "fonts-nanum",
}
"""Debian's, by the folder of a font."""

_HEIGHT_OF_EM = {Language.EN: 0.73, Language.ZH: 0.92, Language.KO: 0.88}
"""Letter height over font size."""

_PAINTS = (
    ((245, 245, 240), (24, 84, 60)),
    ((30, 28, 26), (238, 230, 208)),
    ((250, 212, 70), (28, 40, 92)),
    ((250, 248, 244), (168, 34, 34)),
    ((74, 44, 24), (226, 200, 160)),
    ((236, 236, 230), (42, 42, 46)),
    ((20, 60, 130), (240, 242, 244)),
)
"""Ink and board, R, G, B."""

_BARE_INK = (250, 250, 246)
_SUPERSAMPLING = 2
_SPACING = 1.65
"""From one line to the next, in letter heights."""


@dataclass(frozen=True, slots=True, eq=False)
class Sign:
    """A sign in its place: only its lines are left to say.

    ``letter`` is the letter height in pixels. ``corners`` (4, 2) are where the board's lie in
    the photo, x and y, clockwise from the top left. ``rows`` lines have room. Without
    ``board`` the letters stand on the photo itself.
    """

    face: str
    language: Language
    letter: float
    rows: int
    corners: NDArray[np.float32]
    ink: tuple[int, int, int]
    board: tuple[int, int, int] | None
    left_aligned: bool
    grey: bool
    seed: int

    @classmethod
    def hang(
        cls,
        photo: RGB,
        lines: Sequence[str],
        language: Language,
        random: Generator,
        *,
        grey: bool = False,
        board: bool = True,
    ) -> Sign:
        """Find a place in ``photo`` for a sign that each of ``lines``, and a bit more, fits."""
        height, width, _ = photo.shape
        faces = _FACES[language]
        face = faces[int(random.integers(len(faces)))]
        rows = 1 + max(line.count("\n") for line in lines)
        widest = max(_width(face, part) for line in lines for part in line.split("\n"))
        # In letter heights: the margins, and room for one more character.
        across = widest / _HEIGHT_OF_EM[language] + 2.4
        down = (rows - 1) * _SPACING + 2.5
        most = min(LARGEST, 0.86 * width / across, 0.8 * height / down)
        least = SMALLEST if board else _SMALLEST_BARE
        letter = float(np.exp(random.uniform(np.log(least), np.log(max(most, least + 1.0)))))
        ink, colour = _PAINTS[int(random.integers(len(_PAINTS)))]
        return cls(
            face=face,
            language=language,
            letter=letter,
            rows=rows,
            corners=_corners((width, height), (across * letter, down * letter), random),
            ink=ink,
            board=colour if board else None,
            left_aligned=bool(random.random() < 0.3),
            grey=grey,
            seed=int(random.integers(1 << 32)),
        )

    def draw(
        self,
        photo: RGB,
        lines: Sequence[str],
        strengths: Sequence[float] | None = None,
        ink: tuple[int, int, int] | None = None,
    ) -> RGB:
        """Return ``photo`` with the sign, which reads ``lines``.

        ``strengths`` (0 to 1) says how strongly each line is painted, ``ink`` in which colour
        instead of the sign's.
        """
        box = self._surroundings(photo.shape)
        moved = replace(self, corners=self.corners - np.array((box.left, box.top), np.float32))
        drawn = photo.copy()
        drawn[box.area] = moved._drawn(photo[box.area], lines, strengths, ink)
        return drawn

    def letters(
        self,
        shape: tuple[int, ...],
        lines: Sequence[str],
        strengths: Sequence[float] | None = None,
    ) -> Alpha:
        """Return how much of each pixel of a photo of ``shape`` the letters cover."""
        width, height = self._size
        sheet = Image.new("L", (width, height))
        pen = ImageDraw.Draw(sheet)
        font = _font(self.face, round(self._unit / _HEIGHT_OF_EM[self.language]))
        top = 1.62 * self._unit + 0.5 * (self.rows - len(lines)) * _SPACING * self._unit
        stroke = 0.035 * self._unit if self.board is None else 0.0
        for row, line in enumerate(lines):
            level = round(255 * (1.0 if strengths is None else strengths[row]))
            baseline = top + row * _SPACING * self._unit
            if self.left_aligned:
                place, anchor = (0.9 * self._unit, baseline), "ls"
            else:
                place, anchor = (width / 2, baseline), "ms"
            pen.text(place, line, level, font, anchor=anchor, stroke_width=stroke)
        return self._in_place(np.asarray(sheet, np.float32) / 255.0, shape)

    def cover(self, shape: tuple[int, ...]) -> Alpha:
        """Return where the board lies in a photo of ``shape``."""
        width, height = self._size
        return self._in_place(np.ones((height, width), np.float32), shape)

    @property
    def _unit(self) -> float:
        """Letter height on the sheet that is drawn, in its pixels."""
        return self.letter * _SUPERSAMPLING

    @property
    def _size(self) -> tuple[int, int]:
        top_left, top_right, _, bottom_left = self.corners
        across, down = np.linalg.norm(top_right - top_left), np.linalg.norm(bottom_left - top_left)
        return round(float(across) * _SUPERSAMPLING), round(float(down) * _SUPERSAMPLING)

    def _surroundings(self, shape: tuple[int, ...]) -> Box:
        """The part of a photo that the board and its shadow reach."""
        left, top = np.floor(self.corners.min(axis=0) - self.letter).astype(int)
        right, bottom = np.ceil(self.corners.max(axis=0) + self.letter).astype(int)
        return Box(
            max(0, int(left)),
            max(0, int(top)),
            min(shape[1], int(right)),
            min(shape[0], int(bottom)),
        )

    def _drawn(
        self,
        photo: RGB,
        lines: Sequence[str],
        strengths: Sequence[float] | None,
        ink: tuple[int, int, int] | None,
    ) -> RGB:
        written = self.letters(photo.shape, lines, strengths)
        if self.board is None:
            # What keeps bare letters legible: a dark rim.
            rim = np.clip(2.4 * cv2.GaussianBlur(written, (0, 0), 0.1 * self.letter), 0.0, 1.0)
            below = blend(photo, np.full_like(photo, 16), rim)
        else:
            plate, covered = self._plate(photo.shape)
            shade = 1.0 - 0.35 * cv2.GaussianBlur(covered, (0, 0), 0.25 * self.letter)
            below = blend(rounded(photo * shade[..., None]), plate, covered)
        paint = np.full_like(photo, ink or (_BARE_INK if self.board is None else self.ink))
        if self.grey and ink is None:
            paint = desaturated(paint)
        return blend(below, paint, written)

    def _plate(self, shape: tuple[int, ...]) -> tuple[RGB, Alpha]:
        """The empty board, painted by hand: a border, brush strokes, light from above."""
        width, height = self._size
        random = np.random.default_rng(self.seed)
        strokes = random.standard_normal((height, max(2, width // 40))).astype(np.float32)
        strokes = cv2.resize(strokes, (width, height), interpolation=cv2.INTER_LINEAR)
        strokes = cv2.GaussianBlur(strokes, (0, 0), 0.8)
        light = np.linspace(6.0, -6.0, height, dtype=np.float32)[:, None]
        sheet = np.array(self.board, np.float32) + (light + 2.0 * strokes)[..., None]
        inset, line = round(0.22 * self._unit), max(1, round(0.06 * self._unit))
        border = tuple(float(level) for level in self.ink)
        cv2.rectangle(sheet, (inset, inset), (width - inset, height - inset), border, line)
        sheet = np.clip(sheet, 0.0, 255.0)
        plate = rounded(self._in_place(sheet, shape, cv2.BORDER_REPLICATE))
        return (desaturated(plate) if self.grey else plate), self.cover(shape)

    def _in_place(
        self, sheet: NDArray[np.float32], shape: tuple[int, ...], border: int = cv2.BORDER_CONSTANT
    ) -> NDArray[np.float32]:
        height, width = sheet.shape[:2]
        flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
        transform = cv2.getPerspectiveTransform(flat, self.corners)
        size = (shape[1], shape[0])
        placed: NDArray[np.float32] = cv2.warpPerspective(
            sheet, transform, size, flags=cv2.INTER_LINEAR, borderMode=border
        )
        return placed


def _corners(
    photo: tuple[int, int], board: tuple[float, float], random: Generator
) -> NDArray[np.float32]:
    """Hang a board of (width, height) within a photo, turned by up to 3 degrees."""
    width, height = board
    turn = np.radians(random.uniform(-3.0, 3.0))
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float32) * (width / 2, height / 2)
    corners += random.uniform(-0.012, 0.012, (4, 2)) * width
    turned = corners @ np.array(((np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))))
    reach = np.abs(turned).max(axis=0) + 3.0
    low, high = reach, np.maximum(np.array(photo) - reach, reach)
    centre = np.where(low < high, random.uniform(low, high), np.array(photo) / 2)
    return (turned + centre).astype(np.float32)


def _width(face: str, text: str) -> float:
    """Width of ``text`` in sizes of the font."""
    return _font(face, 100).getlength(text) / 100.0


@cache
def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    path = _FONTS / face
    if not path.exists():
        package = _PACKAGES[face.split("/")[0]]
        raise FileNotFoundError(f"{path.name} is missing: install the Debian package {package}.")
    return ImageFont.truetype(path, size)
