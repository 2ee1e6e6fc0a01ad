"""Mask files: which pixels they free, by OpenAI's meaning or by the painters'.

OpenAI's masks are pictures with holes: transparent is editable. Painting programs export
masks in black and white, where white is editable. A file that has any transparency is read
the first way, every other the second; what counts as transparent is what ``colour`` says,
so that every container and mode that can be an image can be a mask.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from serve_app.config import LimitsConfig
from serve_app.errors import UnusableMask
from serve_app.images.colour import split_alpha, to_srgb
from serve_app.images.decoding import read
from serve_app.images.masks import Editable, EditMask

_HALF = 128
"""Of 0..255: masks have soft edges, and the nearer end counts."""

_BLACK = 16
"""Of 0..255: up to here black, and as near to 255 white; JPEG blurs both."""

_SOFT_EDGES = 0.02
"""Share of grey pixels that a mask in black and white may have."""


def read_mask(data: bytes, limits: LimitsConfig, param: str) -> EditMask:
    """Read the file ``data``, upright, as a mask (height, width) of its own size.

    Raises what ``decoding.read`` raises. A mask that frees nothing is read like any other.
    """
    return EditMask.of(np.ascontiguousarray(read(data, limits, param, editable)))


def read_stored_mask(data: bytes, limits: LimitsConfig, param: str) -> EditMask:
    """Read what we stored ourselves, which has lost its transparency.

    Raises ``UnusableMask`` unless it is in black and white: a photo with a hole, OpenAI's
    usual mask, would free its bright pixels.
    """
    return EditMask.of(np.ascontiguousarray(read(data, limits, param, _black_and_white)))


def _black_and_white(image: Image.Image) -> Editable:
    luma = np.asarray(Image.fromarray(to_srgb(image)).convert("L"))
    grey = (luma > _BLACK) & (luma < 255 - _BLACK)
    if grey.mean() > _SOFT_EDGES:
        raise UnusableMask(
            "A stored image keeps no transparency, and this one is not in black and white. Send "
            "the mask with the request, or store one that is white where the edit may be.",
            "mask",
        )
    return luma >= _HALF


def editable(image: Image.Image) -> Editable:
    """Return where a loaded ``image`` lets an edit change things.

    Unless its alpha is 255 everywhere, editable is where it is below 128; without
    transparency, where the luma (BT.601, of the colours in sRGB) is at least 128.
    """
    _, alpha = split_alpha(image)
    if alpha is not None:
        opacity = np.asarray(alpha)
        if opacity.min() < 255:
            return opacity < _HALF
    luma = Image.fromarray(to_srgb(image)).convert("L")
    return np.asarray(luma) >= _HALF
