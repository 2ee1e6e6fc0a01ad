"""The photos that are edited: bundled with scikit-image and scikit-learn, apart by split.

Both splits have a person, objects, a landscape, a plant or an animal, textures, a document,
science and grey pictures; no photo, and no part of one, is in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import as_file, files

import numpy as np
from PIL import Image

from serve_app.images.pixels import RGB

LONGEST = 1024
"""Pixels: what is larger is scaled down to this longer side."""


class Split(StrEnum):
    """Limits are fitted on the one and proved on the other."""

    DEVELOPMENT = "development"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo and what may be done with it.

    ``subject`` is a box around the main thing, as shares of width and height (left, top,
    right, bottom), for segmenting it. ``coloured`` and ``detailed`` say whether a change of
    chroma or of fine texture would show at all; ``bright`` whether a darkening would.
    ``plain`` photos hold no words of their own, so that a sign can be hung in them, and
    ``texture`` ones show one material only.
    """

    name: str
    split: Split
    file: str
    subject: tuple[float, float, float, float] | None = None
    coloured: bool = True
    detailed: bool = True
    bright: bool = True
    plain: bool = True
    texture: bool = False

    @property
    def pixels(self) -> RGB:
        """Shape (height, width, 3), uint8; shared, so not to be written to."""
        return _read(self.file)


_SCIKIT_IMAGE = "skimage.data"
_SCIKIT_LEARN = "sklearn.datasets.images"
_DEVELOPMENT, _TEST = Split.DEVELOPMENT, Split.TEST

# fmt: off
PHOTOS: tuple[Photo, ...] = (
    Photo("astronaut", _DEVELOPMENT, "astronaut.png", (.06, .01, .74, 1)),
    Photo("coffee", _DEVELOPMENT, "coffee.png", (.12, .02, .80, .99)),
    Photo("rocket", _DEVELOPMENT, "rocket.jpg", bright=False),
    Photo("flower", _DEVELOPMENT, "flower.jpg", (.25, .17, .71, .84)),
    Photo("retina", _DEVELOPMENT, "retina.jpg", detailed=False),
    Photo("brick", _DEVELOPMENT, "brick.png", coloured=False, texture=True),
    Photo("grass", _DEVELOPMENT, "grass.png", coloured=False, texture=True),
    Photo("coins", _DEVELOPMENT, "coins.png", (.78, .50, .99, .73), coloured=False),
    Photo("page", _DEVELOPMENT, "page.png", coloured=False, plain=False),
    Photo("chelsea", _TEST, "chelsea.png"),
    Photo("motorcycle", _TEST, "motorcycle_left.png"),
    Photo("china", _TEST, "china.jpg", (.13, .04, .51, .82)),
    Photo("camera", _TEST, "camera.png", (.08, .10, .66, 1), coloured=False),
    Photo("hubble", _TEST, "hubble_deep_field.jpg", coloured=False, bright=False),
    Photo("moon", _TEST, "moon.png", coloured=False, detailed=False),
    Photo("tissue", _TEST, "ihc.png", texture=True),
    Photo("gravel", _TEST, "gravel.png", coloured=False, texture=True),
    Photo("text", _TEST, "text.png", coloured=False, plain=False),
)
# fmt: on
"""An astronaut, a cup, a night sky, a flower, a retina, bricks, grass, coins and a printed page;
a cat, a motorcycle, a pagoda, a man, galaxies, the moon, stained tissue, gravel and letters."""


def photos(split: Split) -> tuple[Photo, ...]:
    """All photos of ``split``."""
    return tuple(photo for photo in PHOTOS if photo.split is split)


@cache
def _read(file: str) -> RGB:
    folder = _SCIKIT_LEARN if file in ("china.jpg", "flower.jpg") else _SCIKIT_IMAGE
    with as_file(files(folder) / file) as path, Image.open(path) as image:
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        pixels: RGB = np.asarray(image.convert("RGB"))
    return pixels
