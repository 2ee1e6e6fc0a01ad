"""The plot of an analysis: each arm's posterior as a curve, its interval as a bar, one scale."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from serve_app.workflows.ab_tests.ab_test import Arm
from serve_app.workflows.ab_tests.analysis import Analysis
from serve_app.workflows.ab_tests.intervals import wilson
from serve_app.workflows.ab_tests.posterior import densities

Colour = tuple[int, int, int]

PAPER: Colour = (250, 250, 248)
_GRID: Colour = (228, 228, 224)
_CONTROL_LINE: Colour = (150, 154, 160)

_FINE = 3
"""Drawn at so many times the size and shrunk: Pillow's lines have hard edges."""

_CURVE, _FLOOR = 0.68, 0.24
"""Height of a curve, and of its foot above the end of the row, in heights of a row."""

_LEAST_SEEN = 0.003
"""Density, relative to the highest, from which on a curve is drawn."""

_SHOWN = 0.001
"""Significance of the intervals that the scale has room for."""

_TICKS = 6


def scale_of(arms: Sequence[Arm]) -> tuple[float, float]:
    """Lowest and highest rate to show; there is room beside 0 and 1, too."""
    bounds = [wilson(arm, _SHOWN) for arm in arms]
    low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
    room = 0.04 * (high - low)
    return low - room, high + room


def ticks_of(scale: tuple[float, float]) -> list[float]:
    """Round rates within ``scale`` and 0 to 1, six or so."""
    low, high = max(0.0, scale[0]), min(1.0, scale[1])
    rough = (high - low) / _TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= rough)
    first = int(np.ceil(low / step - 1e-9))
    return [number * step for number in range(first, int(np.floor(high / step + 1e-9)) + 1)]


def place(rate: float, scale: tuple[float, float], width: int) -> float:
    """Where ``rate`` is, pixels from the left of a plot of ``width`` pixels."""
    low, high = scale
    return (rate - low) / (high - low) * (width - 1)


def plotted(analysis: Analysis, size: tuple[int, int], colours: Sequence[Colour]) -> Image.Image:
    """Draw a row for each arm, in their order and ``colours``, in ``size`` pixels.

    Every curve is as high as the others: their widths are to be compared.
    """
    arms = analysis.test.arms
    scale = scale_of(arms)
    width, height = size[0] * _FINE, size[1] * _FINE
    plot = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(plot)
    for tick in ticks_of(scale):
        x = place(tick, scale, width)
        draw.line((x, 0, x, height), _GRID, _FINE)
    row = height / len(arms)
    curves = _curves(arms, scale, width)
    control = place(analysis.test.control_arm.rate, scale, width)
    for number, (curve, colour) in enumerate(zip(curves, colours, strict=True)):
        foot = (number + 1 - _FLOOR) * row
        line = [(float(x), foot - _CURVE * row * float(y)) for x, y in enumerate(curve)]
        draw.line((0, foot, width, foot), _GRID, _FINE)
        seen = [point for point, y in zip(line, curve, strict=True) if y > _LEAST_SEEN]
        if not seen:  # all of it lies between two pixels
            seen = [(place(arms[number].rate, scale, width), foot - _CURVE * row)]
        draw.polygon([(seen[0][0], foot), *seen, (seen[-1][0], foot)], _pale(colour))
        draw.line([(seen[0][0], foot), *seen, (seen[-1][0], foot)], colour, 2 * _FINE, "curve")
    _dash(draw, control, height)
    for number, (arm, colour) in enumerate(zip(arms, colours, strict=True)):
        foot = (number + 1 - _FLOOR) * row
        low, high = (place(bound, scale, width) for bound in analysis.intervals[arm.name])
        _bar(draw, (low, place(arm.rate, scale, width), high), foot, colour)
    return plot.resize(size, Image.Resampling.LANCZOS)


def _curves(arms: Sequence[Arm], scale: tuple[float, float], width: int) -> NDArray[np.float64]:
    """Densities (arms, width), the highest of each being 1."""
    found = densities(arms, np.linspace(*scale, width))
    highest = found.max(axis=1, keepdims=True)
    return np.asarray(found / np.where(highest > 0, highest, 1), np.float64)


def _bar(
    draw: ImageDraw.ImageDraw, places: tuple[float, float, float], y: float, colour: Colour
) -> None:
    """An interval, and the rate in it."""
    low, middle, high = places
    draw.line((low, y, high, y), colour, 4 * _FINE)
    for end in (low, high):
        draw.line((end, y - 6 * _FINE, end, y + 6 * _FINE), colour, 2 * _FINE)
    for radius, fill in ((7 * _FINE, PAPER), (5 * _FINE, colour)):
        draw.ellipse((middle - radius, y - radius, middle + radius, y + radius), fill)


def _dash(draw: ImageDraw.ImageDraw, x: float, height: int) -> None:
    for y in range(0, height, 12 * _FINE):
        draw.line((x, y, x, y + 6 * _FINE), _CONTROL_LINE, _FINE)


def _pale(colour: Colour) -> Colour:
    red, green, blue = (
        round(0.2 * one + 0.8 * paper) for one, paper in zip(colour, PAPER, strict=True)
    )
    return red, green, blue
