"""Photos and synthetic edits for the tests of judging."""

import numpy as np
from skimage import data

from serve_app.config import QualityConfig
from serve_app.edits.request import EditType
from serve_app.images.geometry import resize
from serve_app.images.masks import Editable
from serve_app.images.pixels import RGB
from serve_app.quality.case import Case
from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Subject

PHOTOS = ("astronaut", "coffee", "chelsea")


def photo(name: str = "astronaut", size: tuple[int, int] = (256, 256)) -> RGB:
    return resize(np.asarray(getattr(data, name)()), size)


def flat(level: int = 128, size: tuple[int, int] = (256, 256)) -> RGB:
    return np.full((size[1], size[0], 3), level, np.uint8)


def noise(seed: int = 0, size: tuple[int, int] = (256, 256)) -> RGB:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def with_square(original: RGB, side: int = 40, colour: tuple[int, int, int] = (255, 0, 0)) -> RGB:
    """A local edit: a square of one colour, far from the border."""
    edited = original.copy()
    edited[60 : 60 + side, 70 : 70 + side] = colour
    return edited


def pair(
    original: RGB,
    edited: RGB,
    *,
    kind: EditType = EditType.APPEARANCE,
    finite: bool = True,
    mask: Editable | None = None,
    side: int = 768,
) -> Subject:
    """Two pictures as the checks see them."""
    case = Case(original, edited, kind, finite, mask)
    return Subject.of(case, QualityConfig(side=side))


def value(found: Measurement | None) -> float:
    """The number of a measurement that has one."""
    if found is None or found.value is None:
        raise ValueError("nothing was measured")
    return found.value
