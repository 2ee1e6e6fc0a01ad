"""Whether a grid lies over the picture: the blocks of JPEG, or the cells of latents.

A regular pattern adds the same step at every p-th column or row. What the picture itself has
there averages out along the other axis; fences, bricks and windows are in the original, too,
and are taken off.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Luma, Subject, luma

PERIODS = (8, 16)
"""Pixels: blocks of JPEG and cells of an 8x autoencoder; patches of two by two of them."""

_REPEATS = 8
"""So often a pattern has to come again before it is one."""

_PLAIN = 2.0
"""Levels: the mean step of a surface so plain that single edges would look like a pattern."""

_SIDE = 1024
"""Longest side looked at, pixels: a part of the middle, for shrinking would remove the grid."""


def grid(subject: Subject) -> Measurement:
    """The step that comes again at every 8th or 16th line, in levels of 0..255.

    It goes the same way along the whole line, as the seams of latent cells do. What steps up
    here and down there averages out, so that texture hides nothing.
    """
    return _strongest(subject, seam_step)


def blocks(subject: Subject) -> Measurement:
    """How much larger steps are at every 8th or 16th line than between, as a share; 0 is none.

    Whichever way they go: at the edges of JPEG's blocks each has its own.
    """
    return _strongest(subject, block_excess)


def seam_step(image: Luma, period: int, axis: int) -> float:
    """The mean step at one phase of ``period`` that is farthest from the others', in levels.

    Steps of neighbours along ``axis`` (0 rows, 1 columns), averaged along the other with their
    signs; the median over all repeats, less that of all phases.
    """
    phases = _phases(np.diff(image, axis=axis).mean(axis=1 - axis), period)
    return float(np.abs(phases - np.median(phases)).max())


def block_excess(image: Luma, period: int, axis: int) -> float:
    """The mean size of steps at their largest phase over that of the median phase, less 1.

    At least 0. Steps are as in ``seam_step``, without their signs.
    """
    phases = _phases(np.abs(np.diff(image, axis=axis)).mean(axis=1 - axis), period)
    return max(0.0, float(phases.max()) / max(_PLAIN, float(np.median(phases))) - 1.0)


def _phases(steps: NDArray[np.float32], period: int) -> NDArray[np.float32]:
    whole = len(steps) // period * period
    phases: NDArray[np.float32] = np.median(steps[:whole].reshape(-1, period), axis=0)
    return phases


def _strongest(subject: Subject, strength: Callable[[Luma, int, int], float]) -> Measurement:
    """The largest over periods and axes, less the original's, at the size the picture came in."""
    edited = _middle(subject.case.edited)
    if min(edited.shape) < _REPEATS * max(PERIODS):
        return Measurement.unsupported("the picture is too small for a pattern to show")
    same = subject.case.edited.shape == subject.case.original.shape
    original = _middle(subject.case.original) if same else None
    value, fineness, axis = max(
        (_excess(edited, original, period, axis, strength), -period, axis)
        for period in PERIODS
        for axis in (0, 1)
    )
    return Measurement(value, {"period_px": -fineness, "axis": ("rows", "columns")[axis]})


def _excess(
    edited: Luma,
    original: Luma | None,
    period: int,
    axis: int,
    strength: Callable[[Luma, int, int], float],
) -> float:
    before = 0.0 if original is None else strength(original, period, axis)
    return round(max(0.0, strength(edited, period, axis) - before), 4)


def _middle(pixels: NDArray[np.uint8]) -> Luma:
    height, width, _ = pixels.shape
    top, left = max(0, height - _SIDE) // 2, max(0, width - _SIDE) // 2
    return luma(pixels[top : top + _SIDE, left : left + _SIDE])
