"""Defects of what was changed: nothing, nothing sensible, too much, or somewhere else."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from benchmarks.quality import regions, styles
from benchmarks.quality.appearance import fitted
from benchmarks.quality.lab import Alpha, blend, rounded, to_lab, to_rgb
from benchmarks.quality.outcome import Outcome
from benchmarks.quality.photos import photos
from benchmarks.quality.residue import through_jpeg
from serve_app.images.compositing import feather_radius
from serve_app.images.pixels import RGB


def untouched(outcome: Outcome, _: int, __: Generator) -> RGB:
    """The original, bit for bit."""
    return outcome.edit.original.copy()


def hardly_touched(outcome: Outcome, strength: int, _: Generator) -> RGB:
    """The original through model and file, with half of that, or only saved again.

    The more of it is the same, the worse.
    """
    original = outcome.edit.original
    if strength == 3:
        return through_jpeg(original, 95)
    output = outcome.residue.through_model(original)
    if strength == 2:
        output = rounded(0.5 * output.astype(np.float32) + 0.5 * original)
    return outcome.residue.through_file(output)


def one_colour(outcome: Outcome, _: int, random: Generator) -> RGB:
    """One grey, black, white, or the picture's mean."""
    mean = outcome.output.mean(axis=(0, 1))
    colours = ((128, 128, 128), (0, 0, 0), (255, 255, 255), mean)
    return rounded(np.full_like(outcome.output, 0) + colours[int(random.integers(4))])


def two_colours(outcome: Outcome, _: int, random: Generator) -> RGB:
    """Two flat halves."""
    flat = np.empty_like(outcome.output)
    first, second = random.integers(20, 236, (2, 3))
    flat[:] = first
    flat[: flat.shape[0] // 2] = second
    return flat if random.random() < 0.5 else np.ascontiguousarray(flat[::-1])


def faded(outcome: Outcome, strength: int, _: Generator) -> RGB:
    """8, 4 or 2 % of the contrast."""
    mean = outcome.output.mean(axis=(0, 1))
    contrast = (0.08, 0.04, 0.02)[strength - 1]
    return rounded(mean + contrast * (outcome.output - mean))


def only_noise(outcome: Outcome, _: int, random: Generator) -> RGB:
    """Pixels drawn one by one, or what latents that were drawn so decode to."""
    height, width, _ = outcome.output.shape
    if random.random() < 0.5:
        return random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    cells = random.standard_normal((-(-height // 8), -(-width // 8), 3)).astype(np.float32)
    decoded = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    return rounded(128.0 + 55.0 * decoded + 14.0 * random.standard_normal(decoded.shape))


def repainted(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """12, 40 or 100 % of all around the edit is another photo's, in the colours of this one."""
    output, photo = outcome.output, outcome.photo
    others = [other for other in photos(photo.split) if other.name != photo.name and other.detailed]
    other = others[int(random.integers(len(others)))]
    own, foreign = to_lab(output), to_lab(fitted(other.pixels, output.shape))
    axes = (0, 1)
    spread = (own.std(axis=axes) + 2.0) / (foreign.std(axis=axes) + 2.0)
    foreign = (foreign - foreign.mean(axis=axes)) * spread + own.mean(axis=axes)
    around = ~regions.dilated(outcome.edit.touched, 0.02)
    field = regions.smooth_field(output.shape, random, 0.25)
    share = (0.12, 0.4, 1.0)[strength - 1]
    chosen = around & (field >= np.quantile(field[around], 1.0 - share))
    soft = cv2.GaussianBlur(chosen.astype(np.float32), (0, 0), 2.0)
    return blend(output, to_rgb(foreign), soft)


def restyled(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """All is painted over, though only a part was asked for: by 40, 70 or 100 %."""
    filters = (styles.oil, styles.cartoon, styles.watercolour)
    painted = filters[int(random.integers(len(filters)))](outcome.output, random)
    share = (0.4, 0.7, 1.0)[strength - 1]
    return blend(outcome.output, painted, np.full(painted.shape[:2], share, np.float32))


def spilt(outcome: Outcome, strength: int, _: Generator) -> RGB:
    """The change goes on beyond the mask: by 1.5, 4 or 10 % of the side, and nobody cut it off."""
    edit, side = outcome.edit, max(outcome.output.shape)
    if edit.mask is None:
        raise ValueError("what has no mask can't spill")
    feather = feather_radius(edit.original.shape[1], edit.original.shape[0])
    beyond = (0.015, 0.04, 0.1)[strength - 1] * side + feather
    distance = cv2.distanceTransform((~edit.mask).astype(np.uint8), cv2.DIST_L2, 5)
    reached = cv2.GaussianBlur((distance < beyond).astype(np.float32), (0, 0), 1.2)
    flooded = np.maximum(reached * (edit.touched < 0.02), 0.0)
    edited = blend(edit.edited, _changed_alike(outcome), flooded)
    return outcome.residue.through_file(outcome.residue.through_model(edited))


def elsewhere(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """The change is outside of the mask, in a spot of three sizes, and nothing is inside."""
    edit = outcome.edit
    if edit.mask is None:
        raise ValueError("what has no mask has no wrong place")
    height, width = edit.mask.shape
    changed = _changed_alike(outcome)
    feather = feather_radius(width, height)
    apart = cv2.distanceTransform((~edit.mask).astype(np.uint8), cv2.DIST_L2, 5) - feather
    radius = 0.12 * max(height, width)
    wide = np.flatnonzero(apart > radius)
    if not wide.size:
        radius = 0.9 * float(apart.max())
        wide = np.flatnonzero(apart >= apart.max())
    row, column = divmod(int(wide[int(random.integers(wide.size))]), width)
    size = (0.45, 0.65, 0.9)[strength - 1] * radius
    seed = int(random.integers(1 << 32))
    spot: Alpha = regions.spot(
        edit.mask.shape, (column, row), 0.75 * size, np.random.default_rng(seed)
    )
    edited = blend(edit.original, changed, spot * ~edit.mask)
    return outcome.residue.through_file(outcome.residue.through_model(edited))


def _changed_alike(outcome: Outcome) -> RGB:
    """All of the original, changed as the edit changes its part in the mean."""
    edit = outcome.edit
    before, after = to_lab(edit.original), to_lab(edit.edited)
    inside = edit.touched > 0.5
    return to_rgb(before + (after[inside] - before[inside]).mean(axis=0))
