"""What a model or a file does to a whole picture: each at three strengths.

All are changes of a good edit's output. Weak is about where a person begins to notice, medium
is clearly visible, strong is obvious.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.quality import regions
from benchmarks.quality.lab import difference, luma, rounded, to_lab, to_rgb
from benchmarks.quality.outcome import Outcome
from benchmarks.quality.residue import through_jpeg
from serve_app.images.pixels import RGB


def noise(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """Gaussian noise of deviation 6, 12 or 25 levels."""
    sigma = (6.0, 12.0, 25.0)[strength - 1]
    return rounded(outcome.output + sigma * random.standard_normal(outcome.output.shape))


def blur(outcome: Outcome, strength: int, _: Generator) -> RGB:
    """A Gaussian blur of deviation 1.2, 2 or 3.5 pixels."""
    sigma = (1.2, 2.0, 3.5)[strength - 1]
    blurred: RGB = cv2.GaussianBlur(outcome.output, (0, 0), sigma)
    return blurred


def sharpened(outcome: Outcome, strength: int, _: Generator) -> RGB:
    """An unsharp mask of 1 pixel, 1.5, 3 or 5 times."""
    exact = outcome.output.astype(np.float32)
    amount = (1.5, 3.0, 5.0)[strength - 1]
    return rounded(exact + amount * (exact - cv2.GaussianBlur(exact, (0, 0), 1.0)))


def cast(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """All colours moved by 5, 8 or 14 in Lab, in a direction in which they can move."""
    output = outcome.output
    lab = to_lab(output)
    directions = random.standard_normal((10, 3)) * (0.6, 1.0, 1.0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    small = cv2.resize(output, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    moved = [_median_shift(small, 8.0 * direction) for direction in directions]
    # Black gets no bluer and white no brighter: the first that hardly clips, or the best.
    best = next((i for i, shift in enumerate(moved) if shift > 7.2), int(np.argmax(moved)))
    return to_rgb(lab + (5.0, 8.0, 14.0)[strength - 1] * directions[best])


def oversaturated(outcome: Outcome, strength: int, _: Generator) -> RGB:
    """Chroma times 1.5, 1.9 or 2.5, clipped."""
    lab = to_lab(outcome.output)
    lab[..., 1:] *= (1.5, 1.9, 2.5)[strength - 1]
    return to_rgb(lab)


def posterised(outcome: Outcome, strength: int, _: Generator) -> RGB:
    """16, 8 or 4 levels a channel."""
    steps = (16, 8, 4)[strength - 1] - 1
    return rounded(np.rint(outcome.output / 255.0 * steps) / steps * 255.0)


def jpeg(outcome: Outcome, strength: int, _: Generator) -> RGB:
    """Saved at quality 18, 10 or 5."""
    return through_jpeg(outcome.output, (18, 10, 5)[strength - 1])


def grid_8(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """The pattern of cells of the latents, 8 pixels each."""
    return _tiled(outcome.output, 8, strength, random)


def grid_16(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """The pattern of the transformer's patches, 16 pixels each."""
    return _tiled(outcome.output, 16, strength, random)


def zoomed(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """Enlarged by 1, 2 or 4 % around a point near the middle."""
    height, width, _ = outcome.output.shape
    scale = 1.0 + (0.01, 0.02, 0.04)[strength - 1]
    x, y = random.uniform(0.35, 0.65, 2) * (width, height)
    move = np.array(((scale, 0, (1 - scale) * x), (0, scale, (1 - scale) * y)))
    return _moved(outcome.output, move)


def shifted(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """Moved by 2, 5 or 12 pixels of a picture of 1024."""
    turn = random.uniform(0.0, 2 * np.pi)
    reach = (2.0, 5.0, 12.0)[strength - 1] * max(outcome.output.shape) / 1024
    return _moved(outcome.output, _translation(turn, reach))


def doubled(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """Shining through itself, a hundredth of its side apart."""
    output = outcome.output
    share = (0.18, 0.32, 0.5)[strength - 1]
    turn = random.uniform(0.0, 2 * np.pi)
    second = _moved(output, _translation(turn, 0.013 * max(output.shape)))
    return rounded((1.0 - share) * output + share * second)


def warped(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """A part bent in waves of 4, 8 or 16 pixels of a picture of 640, beside the edit.

    They run across themselves, so that nothing folds over.
    """
    output = outcome.output
    height, width, _ = output.shape
    side = max(height, width)
    x, y = _edged_place(outcome, random)
    reach = (4.0, 8.0, 16.0)[strength - 1] * side / 640
    turn, phase = random.uniform(0.0, 2 * np.pi, 2)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    near = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * (0.12 * side) ** 2))
    along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
    wave = reach * near * np.sin(2 * np.pi * along / (0.16 * side) + phase)
    across = (columns - np.sin(turn) * wave).astype(np.float32)
    down = (rows + np.cos(turn) * wave).astype(np.float32)
    bent: RGB = cv2.remap(output, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return bent


def scrambled(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """4, 12 or 35 % of the patches in each other's place, among those with something in them."""
    output = outcome.output
    side = max(16, max(output.shape) // 18)
    touched = regions.dilated(outcome.edit.touched, 0.01)
    grey = luma(output)
    places = [
        (slice(top, top + side), slice(left, left + side))
        for top in range(0, output.shape[0] - side + 1, side)
        for left in range(0, output.shape[1] - side + 1, side)
    ]
    contents = [0.0 if touched[place].any() else float(grey[place].std()) for place in places]
    ranked = [places[index] for index in np.argsort(contents)[::-1] if contents[index] > 0.0]
    count = max(2, round((0.04, 0.12, 0.35)[strength - 1] * len(places)))
    pool = ranked[: max(2, round(0.5 * len(places)))]
    chosen = [pool[int(index)] for index in random.permutation(len(pool))][:count]
    broken = output.copy()
    for place, source in zip(chosen, chosen[1:] + chosen[:1], strict=True):
        broken[place] = output[source]
    return broken


def _median_shift(pixels: RGB, shift: NDArray[np.float64]) -> float:
    return float(np.median(difference(to_rgb(to_lab(pixels) + shift), pixels)))


def _tiled(pixels: RGB, period: int, strength: int, random: Generator) -> RGB:
    """Add one pattern over and over, its rms 2.5, 5 or 10 levels, here more and there less."""
    height, width, _ = pixels.shape
    tile = random.standard_normal((period, period)).astype(np.float32)
    # Smooth from one tile to the next: what the decoder's convolutions leave of a step.
    around = cv2.GaussianBlur(np.tile(tile, (3, 3)), (0, 0), 0.8)
    tile = around[period : 2 * period, period : 2 * period]
    tile = (tile - tile.mean()) / tile.std()
    rows, columns = -(-height // period), -(-width // period)
    pattern = np.tile(tile, (rows, columns))[:height, :width]
    amount = np.clip(1.0 + 0.3 * regions.smooth_field(pixels.shape, random, 0.3), 0.5, 1.5)
    level = (2.5, 5.0, 10.0)[strength - 1]
    return rounded(pixels + (level * amount * pattern)[..., None])


def _translation(turn: float, reach: float) -> NDArray[np.float64]:
    return np.array(((1, 0, np.cos(turn) * reach), (0, 1, np.sin(turn) * reach)))


def _moved(pixels: RGB, move: NDArray[np.float64]) -> RGB:
    height, width, _ = pixels.shape
    moved: RGB = cv2.warpAffine(
        pixels, move, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
    )
    return moved


def _edged_place(outcome: Outcome, random: Generator) -> tuple[float, float]:
    """Of some places (x, y) away from the edit the one around which there is most to bend."""
    height, width, _ = outcome.output.shape
    side = max(height, width)
    smooth = cv2.GaussianBlur(luma(outcome.output), (0, 0), 2.0)
    edges = np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1))
    edges = cv2.GaussianBlur(edges, (0, 0), 0.06 * side)
    edges[regions.dilated(outcome.edit.touched, 0.08)] *= 0.1
    columns = random.uniform(0.15, 0.85, 20) * width
    rows = random.uniform(0.15, 0.85, 20) * height
    best = int(np.argmax(edges[rows.astype(int), columns.astype(int)]))
    return float(columns[best]), float(rows[best])
