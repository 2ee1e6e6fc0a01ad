"""What a row of edits does to a picture: where it has moved, how sharp and how tinted it is.

Each edit of this model family may shift or zoom the whole by a little that no single check
minds; after six of them a person sees it at once. So what a chain makes is compared with the
picture that the chain began with, and can be laid back over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from serve_app.config import QualityConfig
from serve_app.edits.request import EditType
from serve_app.images.pixels import RGB
from serve_app.quality.case import Case
from serve_app.quality.colour import cast
from serve_app.quality.placement import drift
from serve_app.quality.registration import align
from serve_app.quality.subject import Subject
from serve_app.quality.texture import detail

_SAME_ASPECT = 0.01
"""Shapes that differ by more, as a share, can't be laid over each other."""

_REFRAMED = 5.0
"""Percent of the diagonal: what moved farther was meant to, or is another picture."""

_MOSTLY = 0.5
"""Share of the picture that must be the anchor's own for its rim to fit, too."""


@dataclass(frozen=True, slots=True)
class Decay:
    """A picture against the one that a chain began with; ``None`` where it can't be told.

    ``drift`` is the farthest that a corner has moved, in percent of the diagonal, by a shift of
    ``shift_px`` (x, y; pixels of the first picture) and a zoom to ``scale``. ``sharpness`` is the
    energy of fine detail as a multiple of the first picture's, below 1 for a blurred one.
    ``cast`` is the length of the common shift in CIE Lab, of which 2.3 is just noticeable.
    """

    drift: float | None = None
    shift_px: tuple[float, float] | None = None
    scale: float | None = None
    sharpness: float | None = None
    cast: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As users read it."""
        shift = self.shift_px
        return {
            "percent": _rounded(self.drift),
            "shift_px": None if shift is None else [_rounded(axis) for axis in shift],
            "scale": _rounded(self.scale, 5),
            "sharpness": _rounded(self.sharpness),
            "cast": _rounded(self.cast),
        }


def decay(first: RGB, picture: RGB, config: QualityConfig) -> Decay:
    """Compare ``picture`` with the ``first`` of its chain, both (height, width, 3).

    They may differ in size, but in shape hardly: otherwise nothing can be told.
    """
    if not _shaped_alike(first, picture):
        return Decay()
    subject = _pair(first, picture, config)
    moved = drift(subject)
    shift = moved.evidence.get("shift_px")
    return Decay(
        moved.value,
        None if shift is None else (shift[0], shift[1]),
        moved.evidence.get("scale"),
        detail(subject).value,
        cast(subject).value,
    )


@dataclass(frozen=True, slots=True, eq=False)
class LaidOver:
    """``picture`` laid back over another; ``None`` if it lies there already.

    ``reframed`` tells that it shows something else, or from elsewhere: nothing to lay back.
    """

    picture: RGB | None
    reframed: bool


def lay_over(anchor: RGB, picture: RGB, config: QualityConfig) -> LaidOver:
    """Undo the drift of ``picture`` against ``anchor``, both (height, width, 3).

    What the warp uncovers is the anchor's where most of that was kept, else the rim repeated.
    """
    if anchor.shape != picture.shape:
        return LaidOver(None, reframed=True)
    subject = _pair(anchor, picture, config)
    found = subject.registration
    if not found.found or found.drift > _REFRAMED:
        return LaidOver(None, reframed=True)
    if found.still:
        return LaidOver(None, reframed=False)
    aligned, valid = align(picture, subject.full_transform)
    if subject.kept.mean() >= _MOSTLY:
        aligned = np.where(valid[..., None], aligned, anchor)
    return LaidOver(aligned, reframed=False)


def _pair(first: RGB, picture: RGB, config: QualityConfig) -> Subject:
    # The edit type decides limits, and here is no verdict.
    return Subject.of(Case(first, picture, EditType.HYBRID), config)


def _shaped_alike(first: RGB, picture: RGB) -> bool:
    one, other = (pixels.shape[1] / pixels.shape[0] for pixels in (first, picture))
    return bool(abs(one / other - 1.0) <= _SAME_ASPECT)


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(float(value), digits)
