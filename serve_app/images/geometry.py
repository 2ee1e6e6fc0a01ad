"""Putting an image on the model's canvas, and getting the result back at its own size.

The model works on sides that are multiples of 32, at the area it was trained on. Its
stock pipeline stretches the input to the nearest such canvas, which changes the aspect by
up to 3.4 % and shifts the picture. ``Canvas.fit`` never does: one scale for both axes, and
what is missing to the next multiple is padded. ``Canvas.native`` is the stock behaviour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from serve_app.images.pixels import RGB

MULTIPLE = 32
"""Sides of a canvas: 8x VAE, 2x2 patches, and an even number of those."""

SAME_AREA = 0.15
"""Inputs this near to the target area (share of it) are not resampled: losing pixels
costs more than the model gains from its exact training area."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """How a source image lies on the model's canvas; all lengths in pixels.

    The content (the scaled source) lies at the top left, on the grid of patches; right of
    it and below it its edge pixels are repeated to fill the canvas.
    """

    width: int
    height: int
    content_width: int
    content_height: int
    source_width: int
    source_height: int

    @classmethod
    def fit(cls, width: int, height: int, area: int, multiple: int = MULTIPLE) -> Canvas:
        """Place a ``width`` x ``height`` source at about ``area`` pixels, aspect kept.

        The scale is ``sqrt(area / (width * height))``, or 1 within ``SAME_AREA``. The
        canvas is the content rounded up to multiples of ``multiple``. Raises
        ``ValueError`` for a length below 1.
        """
        _require_positive(width, height, area, multiple)
        source_area = width * height
        if abs(source_area - area) <= SAME_AREA * area:
            content_width, content_height = width, height
        else:
            scale = math.sqrt(area / source_area)
            content_width = max(1, round(width * scale))
            content_height = max(1, round(height * scale))
        return cls(
            _round_up(content_width, multiple),
            _round_up(content_height, multiple),
            content_width,
            content_height,
            width,
            height,
        )

    @classmethod
    def native(cls, width: int, height: int, area: int, multiple: int = MULTIPLE) -> Canvas:
        """Stretch a ``width`` x ``height`` source over the stock pipeline's canvas.

        The content is the whole canvas. Raises ``ValueError`` for a length below 1.
        """
        canvas = scaled_to_area(width, height, area, multiple)
        return cls(*canvas, *canvas, width, height)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the canvas."""
        return self.width, self.height

    @property
    def source_size(self) -> tuple[int, int]:
        """(width, height) of the source."""
        return self.source_width, self.source_height

    def place(self, pixels: RGB) -> RGB:
        """Return the source ``pixels`` (source height, source width, 3) on the canvas.

        Raises ``ValueError`` if they are of another size.
        """
        _require_size(pixels, self.source_size)
        content = resize(pixels, (self.content_width, self.content_height))
        right = self.width - self.content_width
        below = self.height - self.content_height
        return np.pad(content, ((0, below), (0, right), (0, 0)), mode="edge")

    def restore(self, canvas: RGB, size: tuple[int, int]) -> RGB:
        """Return the content of a ``canvas`` (height, width, 3) at ``size`` (width, height).

        With ``size`` the source's this undoes ``place``, exactly where nothing was
        resampled. Raises ``ValueError`` if ``canvas`` is of another size.
        """
        _require_size(canvas, self.size)
        return resize(canvas[: self.content_height, : self.content_width], size)


def within(pixels: RGB, side: int) -> tuple[int, int]:
    """Return the (width, height) of ``pixels``, shrunk to ``side`` if a side is longer."""
    height, width, _ = pixels.shape
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def resize(pixels: RGB, size: tuple[int, int]) -> RGB:
    """Resample ``pixels`` to ``size`` (width, height) by Lanczos; as they are if equal.

    Pillow's filter widens with the reduction, so shrinking does not alias.
    """
    height, width, _ = pixels.shape
    if (width, height) == size:
        return pixels
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def scaled_to_area(width: int, height: int, area: int, multiple: int = MULTIPLE) -> tuple[int, int]:
    """Return the (width, height) of about ``area`` pixels nearest to an aspect.

    Equal to ``calculate_dimensions`` of diffusers' QwenImage pipelines (0.42), save that
    no side falls below one ``multiple``. Raises ``ValueError`` for a length below 1.
    """
    _require_positive(width, height, area, multiple)
    ratio = width / height
    exact_width = math.sqrt(area * ratio)
    exact_height = exact_width / ratio
    return (
        max(multiple, round(exact_width / multiple) * multiple),
        max(multiple, round(exact_height / multiple) * multiple),
    )


def _round_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _require_positive(*lengths: int) -> None:
    if min(lengths) < 1:
        raise ValueError("width, height, area and multiple must be at least 1")


def _require_size(pixels: RGB, size: tuple[int, int]) -> None:
    height, width, _ = pixels.shape
    if (width, height) != size:
        raise ValueError(f"expected {size[0]}x{size[1]} pixels, got {width}x{height}")
