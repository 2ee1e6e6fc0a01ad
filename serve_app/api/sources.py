"""Input images as requests name them: uploaded, inline, or stored before."""

from __future__ import annotations

import asyncio
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


# Converting base64 holds the interpreter: between pieces, which are whole groups of four
# characters, the event loop gets its turn.
_PIECE = 2**20


@dataclass(frozen=True, slots=True)
class InlineImage:
    """Encoded bytes that came with the request."""

    data: bytes


@dataclass(frozen=True, slots=True)
class DataUrlImage:
    """The base64 of a data URL, not converted yet."""

    base64: str


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The id of an image from ``POST /v1/files``."""

    file_id: str


ImageSource = InlineImage | DataUrlImage | StoredImage


@dataclass(frozen=True, slots=True)
class ImageSources:
    """A request's input images, not decoded yet, and the field they came in."""

    sources: tuple[ImageSource, ...]
    param: str

    async def load(self, files: FileStore, decoder: DecodePool) -> tuple[DecodedImage, ...]:
        """Decode all images, in order, once the bytes of every one are there."""
        encoded = await all_or_none(encoded_bytes(one, files, self.param) for one in self.sources)
        return tuple(
            await all_or_none(
                decoder.decode(data, self.param, stored=isinstance(source, StoredImage))
                for source, data in zip(self.sources, encoded, strict=True)
            )
        )

    def check_count(self, max_images: int) -> None:
        """Raise ``TooManyImages`` for more than ``max_images``."""
        if len(self.sources) > max_images:
            raise too_many(max_images, self.param)


async def encoded_bytes(source: ImageSource, files: FileStore, param: str) -> bytes:
    """The encoded file that ``source`` names.

    Raises:
        EditServiceError: If the base64 is malformed, or no such file is stored.
    """
    match source:
        case InlineImage(data):
            return data
        case DataUrlImage(text):
            return await asyncio.to_thread(_from_base64, text, param)
        case StoredImage(file_id):
            png = await files.png(file_id)
            if png is None:
                raise NotFound("There is no file with this id.", param)
            return png


def parse_images(values: Sequence[Any], max_images: int, param: str) -> ImageSources:
    """Read the values of an image field.

    Raises:
        EditServiceError: If there are none, too many, or one names no image.
    """
    if not values:
        raise MissingField("An image is required.", param)
    if len(values) > max_images:
        raise too_many(max_images, param)
    return ImageSources(tuple(parse_source(value, param) for value in values), param)


def too_many(max_images: int, param: str) -> TooManyImages:
    """Why more than ``max_images`` are refused."""
    images = "one image" if max_images == 1 else f"{max_images} images"
    return TooManyImages(f"An edit takes at most {images}.", param)


def parse_source(value: Any, param: str) -> ImageSource:
    """Read one value of an image field: a file part, an id, a data URL, or OpenAI's objects.

    Raises:
        EditServiceError: If it names no image, or one that would have to be fetched.
    """
    if isinstance(value, bytes):
        return InlineImage(value)
    value = spelled(value)
    if not isinstance(value, str):
        raise InvalidRequest("An image must be a file id or a data URL.", param)
    if value[:5].lower() == "data:":
        return DataUrlImage(_payload(value, param))
    if _URL.match(value):
        raise ImageUrlRefused("Images are not fetched from URLs: upload the image.", param)
    if not value.startswith("img-"):
        raise InvalidRequest("An image must be a file id or a data URL.", param)
    if not CONTENT_ID.fullmatch(value):
        raise NotFound("There is no file with this id.", param)
    return StoredImage(value)


def spelled(value: Any) -> Any:
    """What names the image: the value itself, or what one of OpenAI's objects holds."""
    if isinstance(value, dict) and len(value) == 1:
        return value.get("file_id", value.get("image_url"))
    return value


def _payload(url: str, param: str) -> str:
    head, comma, payload = url[5:].partition(",")
    media_type, *attributes = head.lower().split(";")
    if not comma or "base64" not in attributes:
        raise InvalidRequest("A data URL must be base64.", param)
    if media_type not in _MEDIA_TYPES:
        raise UnsupportedMediaType("A data URL must hold a PNG, JPEG or WebP image.", param)
    return payload


def _from_base64(text: str, param: str) -> bytes:
    pieces = (text[i : i + _PIECE] for i in range(0, len(text), _PIECE))
    try:
        # Every piece may end in padding, but only the end of the text should.
        if "=" in text[:-2]:
            raise ValueError
        return b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except (binascii.Error, ValueError):
        raise InvalidRequest("The base64 of a data URL is malformed.", param) from None
