"""Whether a picture is in a brand's colours: its palette, and how far each entry is from them.

The palette is k-means in CIE Lab, of a picture at most 128 pixels large; distances are
CIEDE2000 (Sharma et al. 2005), of which 1 is just visible and 10 still reads as the same colour
name. It is a measurement, not a check: a photo in front of which a brand's colours stand has a
sky and skin, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab

from serve_app.images.colour_names import hex_colour
from serve_app.images.geometry import within
from serve_app.images.pixels import RGB

Floats = NDArray[np.float64]
Colour = tuple[int, int, int]

_SIDE = 128
"""Longer side that palettes are taken at, pixels: a colour in a few pixels is none of a brand."""

_CLUSTERS, _ROUNDS, _SEED = 8, 30, 0

_ALIKE = 5.0
"""Clusters nearer than this, CIEDE2000, are one entry: k is more than most pictures have."""


@dataclass(frozen=True, slots=True)
class PaletteEntry:
    """One colour of a picture, as #RRGGBB.

    ``share`` is the part of the picture that has it, 0 to 1; ``nearest`` the brand colour that
    is nearest, ``delta_e`` (CIEDE2000) away.
    """

    colour: str
    share: float
    nearest: str
    delta_e: float


@dataclass(frozen=True, slots=True)
class Conformity:
    """How much of a picture is in a brand's colours.

    ``share`` is the part of the palette, 0 to 1, that is within the limit ``delta_e`` of a
    brand colour; ``missing`` are the brand colours, #RRGGBB, that no entry is near.
    ``palette`` has the largest entry first.
    """

    share: float
    delta_e: float
    missing: tuple[str, ...]
    palette: tuple[PaletteEntry, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def conformity(pixels: RGB, colours: Sequence[Colour], delta_e: float = 10.0) -> Conformity:
    """Measure ``pixels`` (height, width, 3) against a brand's ``colours`` (red, green, blue).

    ``delta_e`` is the CIEDE2000 distance up to which a colour counts as the brand's. The same
    picture has the same palette every time. Raises ``ValueError`` without a colour.
    """
    if not colours:
        raise ValueError("a brand must have at least one colour")
    centres, shares = _palette(pixels)
    distances = _distances(centres, _lab(np.array(colours, np.float64)))
    nearest = distances.argmin(axis=1)
    entries = tuple(
        PaletteEntry(
            _hex(centre),
            round(float(share), 4),
            hex_colour(colours[which]),
            round(float(row[which]), 2),
        )
        for centre, share, which, row in zip(centres, shares, nearest, distances, strict=True)
    )
    missing = dict.fromkeys(
        hex_colour(colour)
        for colour, column in zip(colours, distances.T, strict=True)
        if column.min() > delta_e
    )
    share = float(shares[distances.min(axis=1) <= delta_e].sum())
    return Conformity(round(min(1.0, share), 4), delta_e, tuple(missing), entries)


def _palette(pixels: RGB) -> tuple[Floats, Floats]:
    """The centres (n, 3) in Lab and their shares (n), the largest first."""
    small = cv2.resize(pixels, within(pixels, _SIDE), interpolation=cv2.INTER_AREA)
    points, counts = np.unique(small.reshape(-1, 3), axis=0, return_counts=True)
    lab, weights = _lab(points.astype(np.float64)), counts.astype(np.float64)
    centres, shares = _merged(*_k_means(lab, weights / weights.sum()))
    order = np.argsort(-shares, kind="stable")
    return centres[order], shares[order]


def _k_means(points: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Lloyd's algorithm from a k-means++ start, on weighted ``points`` (n, 3)."""
    random = np.random.default_rng(_SEED)
    centres = points[[int(weights.argmax())]]
    while len(centres) < min(_CLUSTERS, len(points)):
        mass = weights * _squares(points, centres).min(axis=1)
        if mass.sum() <= 0.0:
            break
        chosen = int(random.choice(len(points), p=mass / mass.sum()))
        centres = np.vstack((centres, points[chosen]))
    for _ in range(_ROUNDS):
        labels = _squares(points, centres).argmin(axis=1)
        shares = np.bincount(labels, weights, len(centres)).astype(np.float64)
        sums = [np.bincount(labels, weights * points[:, axis], len(centres)) for axis in range(3)]
        kept = shares > 0.0
        moved = np.stack(sums, axis=1)[kept] / shares[kept, None]
        if moved.shape == centres.shape and np.allclose(moved, centres, atol=1e-3):
            return moved, shares
        centres, shares = moved, shares[kept]
    return centres, shares


def _merged(centres: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Join the two nearest centres until none are closer than ``_ALIKE``."""
    while len(centres) > 1:
        distances = _distances(centres, centres)
        np.fill_diagonal(distances, np.inf)
        one, other = np.unravel_index(int(distances.argmin()), distances.shape)
        if distances[one, other] >= _ALIKE:
            break
        total = shares[one] + shares[other]
        centres = centres.copy()
        shares = shares.copy()
        centres[one] = (centres[one] * shares[one] + centres[other] * shares[other]) / total
        shares[one] = total
        centres, shares = np.delete(centres, other, axis=0), np.delete(shares, other)
    return centres, shares


def _squares(points: Floats, centres: Floats) -> Floats:
    squares: Floats = ((points[:, None] - centres) ** 2).sum(axis=-1)
    return squares


def _distances(some: Floats, others: Floats) -> Floats:
    """CIEDE2000 between each of ``some`` (n, 3) and each of ``others`` (m, 3), both in Lab."""
    distances: Floats = deltaE_ciede2000(some[:, None], others[None])
    return distances


def _lab(colours: Floats) -> Floats:
    """Colours (n, 3) of 0 to 255 in CIE Lab (D65)."""
    lab: Floats = rgb2lab(colours[None] / 255.0)[0]
    return lab


def _hex(centre: Floats) -> str:
    red, green, blue = np.rint(np.clip(lab2rgb(centre[None, None])[0, 0], 0, 1) * 255).astype(int)
    return hex_colour((int(red), int(green), int(blue)))
