"""Photos and synthetic edits for the tests of judging."""

import numpy as np
from skimage import data

from serve_app.images.geometry import resize
from serve_app.images.pixels import RGB

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
