"""Input images as requests name them: uploaded, inline, or stored before."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serve_app.api.disconnect import all_or_none
from serve_app.errors import (
    ImageUrlRefused,
    InvalidRequest,
    MissingField,
    NotFound,
    TooManyImages,
    UnsupportedMediaType,
)
from serve_app.images.decode_pool import DecodePool
from serve_app.images.pixels import CONTENT_ID, DecodedImage
from serve_app.storage.files import FileStore

#: ``image`` is the name; OpenAI's clients send the others for several images.
IMAGE_FIELDS = ("image", "image[]", "images")

_MEDIA_TYPES = frozenset({"image/png", "image/jpeg", "image/jpg", "image/webp"})
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class InlineImage:
    """Encoded bytes that came with the request."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The id of an image from ``POST /v1/files``."""

    file_id: str


@dataclass(frozen=True, slots=True)
class ImageSources:
    """A request's input images, not decoded yet, and the field they came in."""

    sources: tuple[InlineImage | StoredImage, ...]
    param: str

    async def load(self, files: FileStore, decoder: DecodePool) -> tuple[DecodedImage, ...]:
        """Decode all images, in order."""
        return tuple(await all_or_none(self._load(one, files, decoder) for one in self.sources))

    async def _load(
        self, source: InlineImage | StoredImage, files: FileStore, decoder: DecodePool
    ) -> DecodedImage:
        if isinstance(source, InlineImage):
            return await decoder.decode(source.data, self.param)
        png = await files.png(source.file_id)
        if png is None:
            raise NotFound("There is no file with this id.", self.param)
        return await decoder.decode(png, self.param)


def parse_images(values: Sequence[Any], max_images: int, param: str) -> ImageSources:
    """Read the values of an image field.

    Raises:
        EditServiceError: If there are none, too many, or one names no image.
    """
    if not values:
        raise MissingField("An image is required.", param)
    if len(values) > max_images:
        raise TooManyImages(f"An edit takes at most {max_images} images.", param)
    return ImageSources(tuple(_parse(value, param) for value in values), param)


def _parse(value: Any, param: str) -> InlineImage | StoredImage:
    if isinstance(value, bytes):
        return InlineImage(value)
    if isinstance(value, dict) and len(value) == 1:
        # OpenAI's objects; what they hold is told apart by itself.
        value = value.get("file_id", value.get("image_url"))
    if not isinstance(value, str):
        raise InvalidRequest("An image must be a file id or a data URL.", param)
    if value[:5].lower() == "data:":
        return InlineImage(_data_url(value, param))
    if _URL.match(value):
        raise ImageUrlRefused("Images are not fetched from URLs: upload the image.", param)
    if not value.startswith("img-"):
        raise InvalidRequest("An image must be a file id or a data URL.", param)
    if not CONTENT_ID.fullmatch(value):
        raise NotFound("There is no file with this id.", param)
    return StoredImage(value)


def _data_url(url: str, param: str) -> bytes:
    head, comma, payload = url[5:].partition(",")
    media_type, *attributes = head.lower().split(";")
    if not comma or "base64" not in attributes:
        raise InvalidRequest("A data URL must be base64.", param)
    if media_type not in _MEDIA_TYPES:
        raise UnsupportedMediaType("A data URL must hold a PNG, JPEG or WebP image.", param)
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("The base64 of a data URL is malformed.", param) from None
