"""What an image must be before anything of it is decoded: its bytes, then its header."""

from __future__ import annotations

from PIL import Image

from serve_app.config import LimitsConfig
from serve_app.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType, UnusableImage

FORMATS = ("PNG", "JPEG", "WEBP")
"""Pillow's names of the containers that are read; it opens phone JPEGs as ``MPO`` too."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"


def check_bytes(data: bytes, limits: LimitsConfig, param: str) -> None:
    """Refuse what needs no parsing to refuse; a file's name and declared type don't count.

    Raises ``InvalidRequest`` (400) if ``data`` is empty, ``PayloadTooLarge`` (413) over
    ``limits.image_bytes``, ``UnsupportedMediaType`` (415) unless the first bytes are those
    of PNG, JPEG or WebP.
    """
    if not data:
        raise InvalidRequest("The image is empty.", param)
    if len(data) > limits.image_bytes:
        raise PayloadTooLarge(
            f"The image has more than {limits.image_bytes:,} bytes; send a smaller file.", param
        )
    is_webp = data.startswith(b"RIFF") and data[8:12] == b"WEBP"
    if not (is_webp or data.startswith((_PNG, _JPEG))):
        raise UnsupportedMediaType("The image is not a PNG, JPEG or WebP file.", param)


def check_header(image: Image.Image, limits: LimitsConfig, param: str) -> None:
    """Refuse by the header of an opened, not yet loaded ``image``.

    Raises ``UnusableImage`` (422) if it is animated, or outside the limits on sides,
    aspect and pixels. The several pictures of an MPO (a phone's depth map or preview) are
    no animation: the first one is the photo.
    """
    # PNG and WebP know this from their header; n_frames of other formats walks the file.
    if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise UnusableImage("The image is animated; send a single picture.", param)
    shorter, longer = sorted(image.size)
    if shorter < limits.min_side:
        raise UnusableImage(
            f"The image is {image.width}x{image.height}; "
            f"each side must have at least {limits.min_side} pixels.",
            param,
        )
    if longer > limits.max_side:
        raise UnusableImage(
            f"The image is {image.width}x{image.height}; "
            f"no side may have more than {limits.max_side:,} pixels.",
            param,
        )
    if longer > limits.max_aspect * shorter:
        raise UnusableImage(
            f"The image is {image.width}x{image.height}; "
            f"one side may be at most {limits.max_aspect:g} times the other.",
            param,
        )
    if image.width * image.height > limits.image_pixels:
        raise UnusableImage(too_many_pixels(limits), param)


def too_many_pixels(limits: LimitsConfig) -> str:
    """The message for an image over ``limits.image_pixels``."""
    return f"The image has more than {limits.image_pixels:,} pixels; send a smaller one."
