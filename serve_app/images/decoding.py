"""Bytes of a PNG, JPEG or WebP file to pixels, refusing whatever could do harm.

The limits are checked on the header, before any pixel is decoded. Only pixels come out:
EXIF, XMP, comments, thumbnails and whatever hangs behind the picture stay behind.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image

from serve_app.config import LimitsConfig
from serve_app.errors import EditServiceError, UnusableImage
from serve_app.images.colour import split_alpha, to_srgb
from serve_app.images.limits import FORMATS, check_bytes, check_header, too_many_pixels
from serve_app.images.pixels import RGB, DecodedImage

T = TypeVar("T")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation; 1 is upright already."""

_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
"""The last chunk of every whole PNG, which ``verify`` lets be cut short."""


def decode(data: bytes, limits: LimitsConfig, param: str) -> DecodedImage:
    """Decode ``data`` to upright 8-bit sRGB pixels; ``colour`` says how modes are mapped.

    Raises what ``read`` raises.
    """
    return DecodedImage.of(np.ascontiguousarray(read(data, limits, param, to_srgb)))


def decode_opacity(data: bytes, limits: LimitsConfig, param: str) -> DecodedImage:
    """Decode how opaque ``data`` is: grey, 0 where ``decode`` shows white instead of it.

    Raises what ``read`` raises.
    """
    return DecodedImage.of(read(data, limits, param, _opacity))


def _opacity(image: Image.Image) -> RGB:
    colour, alpha = split_alpha(image)
    grey = np.full(colour.size[::-1], 255, np.uint8) if alpha is None else np.asarray(alpha)
    return np.repeat(grey[:, :, None], 3, axis=2)


def read(data: bytes, limits: LimitsConfig, param: str, pixels_of: Callable[[Image.Image], T]) -> T:
    """Load the file ``data``, turn it upright, and return what ``pixels_of`` makes of it.

    ``param`` names the request field in errors. Raises ``InvalidRequest`` (400, empty),
    ``PayloadTooLarge`` (413), ``UnsupportedMediaType`` (415) and ``UnusableImage`` (422:
    over a limit on its size, animated, truncated or corrupt).
    """
    check_bytes(data, limits, param)
    try:
        with _open(data) as image:
            check_header(image, limits, param)
            if image.format == "PNG":
                _check_sums(data)
            image.load()
            return pixels_of(_upright(image))
    except EditServiceError:
        raise
    except Image.DecompressionBombError as error:
        raise UnusableImage(too_many_pixels(limits), param) from error
    except Exception as error:  # Pillow's readers raise nearly every type
        raise UnusableImage("The image is damaged and can't be decoded.", param) from error


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _check_sums(data: bytes) -> None:
    """Check a PNG to its end; loading alone passes over checksums and a missing end."""
    if _PNG_END not in data:
        raise EOFError
    with _open(data) as image:
        image.verify()


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; a value that means nothing leaves the image as it is."""
    try:
        method = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  broken EXIF raises many types; the pixels are sound
        return image
    if method is None:
        return image
    upright = image.transpose(method)
    upright.info = image.info  # the colour profile and the transparent colour
    return upright
