"""Pictures with one thing in them, for the tests of saliency and framing."""

import numpy as np

from serve_app.images.masks import Box
from serve_app.images.pixels import RGB


def grey(width: int, height: int) -> RGB:
    """A faintly noisy wall."""
    noise = np.random.default_rng(0).integers(-4, 5, (height, width, 1))
    return np.broadcast_to(128 + noise, (height, width, 3)).astype(np.uint8)


def with_thing(width: int, height: int, box: Box) -> RGB:
    """A red thing in ``box`` before the wall."""
    pixels = grey(width, height)
    pixels[box.area] = (210, 40, 30)
    return pixels
