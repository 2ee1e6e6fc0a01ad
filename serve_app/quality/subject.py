"""The pair of pictures under judgement, and what a check measures on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.config import QualityConfig
from serve_app.images.geometry import resize
from serve_app.images.masks import Box, Editable, bounding_box, resized
from serve_app.images.pixels import RGB
from serve_app.quality.report import Direction

Luma = NDArray[np.float32]
"""Luma of shape (height, width), 0..255, by ITU-R BT.601."""


def luma(pixels: RGB) -> Luma:
    """Return the BT.601 luma of ``pixels`` (height, width, 3), 0..255."""
    grey: Luma = cv2.cvtColor(pixels.astype(np.float32), cv2.COLOR_RGB2GRAY)
    return grey


@dataclass(frozen=True)
class Subject:
    """An edit as the checks see it.

    ``original`` and ``edited`` have one shape, that of the original, shrunk to at most
    ``config.side`` pixels. ``result`` is the edited picture at the proportions and size it
    came in, shrunk in the same way: enlarging would hide noise. ``finite`` is false if
    the engine met NaN or infinity on the way to these pixels.

    ``focus`` is the original and the edited picture inside the bounding box of the mask, and
    what of it the mask frees; without a mask it is ``original``, ``edited`` and everything.
    The box is cut out before it is shrunk to ``config.side``: a small one keeps every pixel,
    however large the picture.
    """

    original: RGB
    edited: RGB
    result: RGB
    finite: bool
    config: QualityConfig
    focus: tuple[RGB, RGB, Editable]

    @classmethod
    def of(
        cls,
        original: RGB,
        edited: RGB,
        finite: bool,
        config: QualityConfig,
        mask: Editable | None = None,
    ) -> Subject:
        """Bring both pictures, (height, width, 3) uint8, to the size of the checks.

        Raises ``ValueError`` for arrays of another shape or type, or a ``mask`` (height,
        width) that is not of the original's size or frees nothing.
        """
        for pixels in (original, edited):
            if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
                raise ValueError("pictures must be (height, width, 3) uint8")
            if 0 in pixels.shape:
                raise ValueError("pictures must have pixels")
        size = _within(original, config.side)
        small = resize(original, size), resize(edited, size)
        return cls(
            *small,
            resize(edited, _within(edited, config.side)),
            finite,
            config,
            (*small, np.ones(size[::-1], dtype=np.bool_))
            if mask is None
            else _inside(mask, original, edited, config),
        )

    @cached_property
    def original_luma(self) -> Luma:
        return luma(self.original)

    @cached_property
    def edited_luma(self) -> Luma:
        return luma(self.edited)

    @cached_property
    def result_luma(self) -> Luma:
        return luma(self.result)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a check found: ``passed`` is ``None`` where it could decide nothing."""

    passed: bool | None
    value: float | None = None
    threshold: float | None = None
    direction: Direction | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


def _box(mask: Editable, original: RGB) -> Box:
    if mask.shape != original.shape[:2]:
        raise ValueError("a mask must have the original's size")
    box = bounding_box(mask)
    if box is None:
        raise ValueError("a mask must free at least one pixel")
    return box


def _inside(
    mask: Editable, original: RGB, edited: RGB, config: QualityConfig
) -> tuple[RGB, RGB, Editable]:
    box = _box(mask, original)
    height, width, _ = original.shape
    before = original[box.area]
    after = resize(edited, (width, height))[box.area]
    size = _within(before, config.side)
    return resize(before, size), resize(after, size), resized(mask[box.area], size)


def _within(pixels: RGB, side: int) -> tuple[int, int]:
    """Return the (width, height) of ``pixels``, shrunk to ``side`` if it is larger."""
    height, width, _ = pixels.shape
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
