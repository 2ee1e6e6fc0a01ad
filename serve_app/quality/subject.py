"""The pair of pictures under judgement, brought onto one canvas and aligned.

Everything here is computed when a check first asks for it, and once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.config import QualityConfig
from serve_app.images.compositing import dilated, feather_radius
from serve_app.images.geometry import resize, within
from serve_app.images.masks import Box, Editable, bounding_box, resized
from serve_app.images.pixels import RGB
from serve_app.quality.case import Case
from serve_app.quality.change import Change, change_of, common_shift, lab_difference
from serve_app.quality.registration import Registration, align, register
from serve_app.quality.text.checks import needs_korean, places
from serve_app.quality.text.reading import Readings, TextReader
from serve_app.quality.text.region import read_both

Luma = NDArray[np.float32]
"""Luma of shape (height, width), 0..255, by ITU-R BT.601."""

_RIM = 9
"""Pixels around a change that are neither changed nor kept: its soft edge."""

_ENOUGH = 0.04
"""Share of the picture that must be kept for its texture to be compared there."""

_TEXTURED = 128
"""Pixels on the shorter side: in smaller pictures, lines and letters are the finest detail."""


def luma(pixels: RGB) -> Luma:
    """Return the BT.601 luma of ``pixels`` (height, width, 3), 0..255."""
    grey: Luma = cv2.cvtColor(pixels.astype(np.float32), cv2.COLOR_RGB2GRAY)
    return grey


@dataclass(frozen=True)
class Subject:
    """An edit as the checks see it.

    ``original`` and ``edited`` have one shape, that of the original, shrunk to at most
    ``config.side`` pixels: the canvas. ``result`` is the edited picture at the proportions and
    size it came in, shrunk in the same way: enlarging would hide noise. ``editable`` is the
    mask on the canvas. ``focus`` is both pictures inside the bounding box of the mask and what
    of it the mask frees, cut out before it is shrunk to ``config.side``: a small box keeps
    every pixel, however large the picture. Both are ``None`` without a mask.
    """

    case: Case
    config: QualityConfig
    reader: TextReader | None
    original: RGB
    edited: RGB
    result: RGB
    editable: Editable | None
    focus: tuple[RGB, RGB, Editable] | None

    @classmethod
    def of(cls, case: Case, config: QualityConfig, reader: TextReader | None = None) -> Subject:
        """Bring both pictures, (height, width, 3) uint8, to the size of the checks.

        Raises ``ValueError`` for arrays of another shape or type, or a ``mask`` (height,
        width) that is not of the original's size or frees nothing.
        """
        for pixels in (case.original, case.edited):
            if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
                raise ValueError("pictures must be (height, width, 3) uint8")
            if 0 in pixels.shape:
                raise ValueError("pictures must have pixels")
        size = within(case.original, config.side)
        mask = case.mask
        return cls(
            case,
            config,
            reader,
            resize(case.original, size),
            resize(case.edited, size),
            resize(case.edited, within(case.edited, config.side)),
            None if mask is None else resized(mask, size),
            None if mask is None else _inside(mask, case.original, case.edited, config),
        )

    # Where things are.

    @cached_property
    def scale(self) -> float:
        """Canvas pixels to one pixel of the original, at most 1."""
        return float(self.original.shape[1] / self.case.original.shape[1])

    @cached_property
    def registration(self) -> Registration:
        """The transform from the original's canvas to the edited picture's."""
        return register(self.original, self.edited)

    @cached_property
    def _alignment(self) -> tuple[RGB, NDArray[np.bool_]]:
        if self.registration.still:
            return self.edited, np.ones(self.edited.shape[:2], np.bool_)
        return align(self.edited, self.registration.transform)

    @property
    def aligned(self) -> RGB:
        """The edited picture with its drift undone."""
        return self._alignment[0]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where ``aligned`` has pixels: a picture that moved left lacks its right rim."""
        return self._alignment[1]

    @cached_property
    def change(self) -> Change:
        """Where the edit differs from the original, drift and cast aside."""
        return change_of(self._difference, self.valid)

    @cached_property
    def _difference(self) -> NDArray[np.float32]:
        return lab_difference(self.original, self.aligned)

    @cached_property
    def protected(self) -> NDArray[np.bool_] | None:
        """What the mask keeps, its feather aside; ``None`` without a mask."""
        if self.editable is None:
            return None
        height, width = self.editable.shape
        return np.logical_not(dilated(self.editable, feather_radius(width, height)))

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """What the edit left as it was, its soft edges aside."""
        rim = np.ones((2 * _RIM + 1, 2 * _RIM + 1), np.uint8)
        near = cv2.dilate(self.change.changed.astype(np.uint8), rim)
        kept: NDArray[np.bool_] = self.valid & (near == 0)
        if self.protected is not None and self.protected.mean() >= _ENOUGH:
            kept &= self.protected
        return kept

    @cached_property
    def much_kept(self) -> bool:
        """Whether so much was left as it was that both can be compared there."""
        return float(self.kept.mean()) >= _ENOUGH

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Where texture and colours are compared: what was kept, or all if next to nothing was."""
        return self.kept if self.much_kept else self.valid

    @cached_property
    def lab_shift(self) -> NDArray[np.float32]:
        """(3,): the median difference in CIE Lab over what was kept."""
        return common_shift(self._difference[self.compared])

    @property
    def fine(self) -> bool:
        """Whether the picture is large enough for its texture to be told from its contents."""
        return bool(min(self.original.shape[:2]) >= _TEXTURED)

    # What is written.

    @cached_property
    def readings(self) -> Readings | None:
        """The words in both pictures, as far as the edit may have touched them."""
        if self.reader is None:
            return None
        text = self.case.text
        korean = needs_korean(text.expected, text.old)
        height, width, _ = self.case.original.shape
        edited = resize(self.case.edited, (width, height))
        if not self.registration.still:
            edited, _ = align(edited, self.full_transform)
        return read_both(
            self.reader,
            self.case.original,
            edited,
            self._touched,
            korean=korean,
            expected=text.expected,
            old=text.old,
        )

    @cached_property
    def rewritten(self) -> NDArray[np.bool_]:
        """(height, width) of the canvas: the lines of words that were to change, old and new."""
        mask = np.zeros(self.original.shape[:2], np.bool_)
        text = self.case.text
        if self.readings is None or not self.fine:
            return mask
        for words in (text.old, text.expected):
            for lines in (self.readings.before, self.readings.after):
                for box in places(words, lines) if words else ():
                    mask[self.on_canvas(box).area] = True
        return mask

    def touched(self, box: Box) -> bool:
        """Whether anything changed inside ``box``, in pixels of the original."""
        return bool(self.change.changed[self.on_canvas(box).area].any())

    @property
    def _touched(self) -> Box | None:
        """The box of all changes in pixels of the original; ``None`` if there are none."""
        box = bounding_box(self.change.changed)
        return None if box is None else self.on_original(box)

    @property
    def full_transform(self) -> NDArray[np.float64]:
        """The registration's transform for pictures of the original's own size."""
        transform = self.registration.transform.copy()
        transform[:, 2] /= self.scale
        return transform

    def on_original(self, box: Box) -> Box:
        """A box of the canvas, in pixels of the original."""
        edges = (round(edge / self.scale) for edge in (box.left, box.top, box.right, box.bottom))
        return Box(*edges)

    def on_canvas(self, box: Box) -> Box:
        """A box of the original, in pixels of the canvas."""
        return Box(*(round(edge * self.scale) for edge in box))

    # Brightness.

    @cached_property
    def original_luma(self) -> Luma:
        return luma(self.original)

    @cached_property
    def edited_luma(self) -> Luma:
        return luma(self.edited)

    @cached_property
    def aligned_luma(self) -> Luma:
        return self.edited_luma if self.registration.still else luma(self.aligned)

    @cached_property
    def result_luma(self) -> Luma:
        return luma(self.result)


def _inside(
    mask: Editable, original: RGB, edited: RGB, config: QualityConfig
) -> tuple[RGB, RGB, Editable]:
    if mask.shape != original.shape[:2]:
        raise ValueError("a mask must have the original's size")
    box = bounding_box(mask)
    if box is None:
        raise ValueError("a mask must free at least one pixel")
    height, width, _ = original.shape
    before = original[box.area]
    after = resize(edited, (width, height))[box.area]
    size = within(before, config.side)
    return resize(before, size), resize(after, size), resized(mask[box.area], size)
