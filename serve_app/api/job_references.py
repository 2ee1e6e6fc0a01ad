"""The images that a job's specification names: sent with it, inline, or stored before."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np

from serve_app.api.context import Context
from serve_app.api.disconnect import all_or_none
from serve_app.api.sources import (
    ImageSource,
    InlineImage,
    StoredImage,
    encoded_bytes,
    parse_source,
    spelled,
    too_many,
)
from serve_app.errors import InvalidRequest, NotFound, UnknownField
from serve_app.images.encoding import OutputFormat, encode
from serve_app.images.masks import EditMask
from serve_app.images.pixels import DecodedImage

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class _Readable:
    """An image that can be used; ``png`` is what is not stored yet."""

    id: str
    png: bytes | None = None


class _Role(Enum):
    """What is read of a file."""

    IMAGE = auto()
    MASK = auto()
    OPACITY = auto()


@dataclass(frozen=True, slots=True)
class _Named:
    """Where an image comes from, and what of it is meant."""

    source: ImageSource
    role: _Role = _Role.IMAGE

    async def read(self, param: str, context: Context) -> _Readable:
        """Read it; raises an ``EditServiceError`` if it can't be used or is not there."""
        if isinstance(self.source, StoredImage):
            if not await context.files.has(self.source.file_id):
                raise NotFound("There is no file with this id.", param)
            return _Readable(self.source.file_id)
        data = await encoded_bytes(self.source, context.files, param)
        match self.role:
            case _Role.MASK:
                image = _drawn(await context.decoder.read_mask(data, param))
            case _Role.OPACITY:
                image = await context.decoder.read_opacity(data, param)
            case _Role.IMAGE:
                image = await context.decoder.decode(data, param)
        png = await asyncio.to_thread(encode, image.pixels, OutputFormat.PNG)
        return _Readable(image.id, png)


def _drawn(mask: EditMask) -> DecodedImage:
    """A mask as it is stored: white where the edit may be."""
    grey = np.where(mask.editable, 255, 0).astype(np.uint8)
    return DecodedImage.of(np.repeat(grey[:, :, None], 3, axis=2))


class References:
    """Collects images while a specification is read; afterwards all are stored and have ids.

    Until then each has a stand-in, which nothing that users write can be equal to. ``parts`` are
    the files that came beside the specification: ``@NAME`` stands for the part ``NAME``.
    """

    def __init__(self, parts: Mapping[str, bytes], max_images: int) -> None:
        self._parts = parts
        self._max_images = max_images
        self._secret = secrets.token_hex(8)
        self._stand_ins: dict[_Named, str] = {}
        self._params: dict[_Named, str] = {}
        self._used: set[str] = set()
        self._sources: dict[str, ImageSource] = {}

    def images(self, value: Any, param: str) -> tuple[str, ...]:
        """Stand-ins of the images of one edit: one value or a list.

        Raises an ``EditServiceError`` if there are too many or one names no image.
        """
        values = value if isinstance(value, list) else [value]
        if not values:
            raise InvalidRequest("An image is required.", param)
        if len(values) > self._max_images:
            raise too_many(self._max_images, param)
        return tuple(self.image(one, param) for one in values)

    def image(self, value: Any, param: str) -> str:
        """The stand-in of an image."""
        return self._stand_in(_Named(self._source(value, param)), param)

    def mask(self, value: Any, param: str) -> str:
        """The stand-in of a mask: what is transparent in its file counts."""
        return self._stand_in(_Named(self._source(value, param), _Role.MASK), param)

    def logo(self, value: Any, param: str) -> tuple[str, str | None]:
        """Stand-ins of a logo and of its opacity: files of the service have lost theirs."""
        source = self._source(value, param)
        logo = self._stand_in(_Named(source), param)
        if isinstance(source, StoredImage):
            return logo, None
        return logo, self._stand_in(_Named(source, _Role.OPACITY), param)

    def complain_at(self, param: str, value: Any) -> None:
        """Let errors about the image that ``value`` names be about ``param``.

        It is for images that a specification does not name itself, wherever it has them.
        """
        source = self._source(value, param)
        for role in _Role:
            named = _Named(source, role)
            if named in self._params:
                self._params[named] = param

    def refuse_unused(self) -> None:
        """Raise ``UnknownField`` for a part that nothing refers to."""
        for name in self._parts:
            if name not in self._used:
                raise UnknownField(
                    f"Nothing in `job` refers to this file, as `@{name[:64]}` would.", name[:64]
                )

    async def stored(self, context: Context) -> dict[str, str]:
        """Store what is not stored yet; return the id for each stand-in.

        Raises an ``EditServiceError`` for an image that can't be used or is not there.
        """
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(named: _Named) -> _Readable:
            async with places:
                return await named.read(self._params[named], context)

        # All are read before any is stored: what is refused leaves nothing behind.
        read = await all_or_none(one(named) for named in self._stand_ins)
        for image in read:
            if image.png is not None:
                await context.files.put(image.id, image.png)
        ids = (image.id for image in read)
        return dict(zip(self._stand_ins.values(), ids, strict=True))

    def _stand_in(self, named: _Named, param: str) -> str:
        self._params.setdefault(named, param)
        return self._stand_ins.setdefault(named, f"{self._secret}-{len(self._stand_ins)}")

    def _source(self, value: Any, param: str) -> ImageSource:
        if not (isinstance(value, str) and value.startswith("@")):
            return self._parsed(value, param)
        name = value[1:]
        if name not in self._parts:
            raise NotFound("No file of this name came with the job.", param)
        self._used.add(name)
        return InlineImage(self._parts[name])

    def _parsed(self, value: Any, param: str) -> ImageSource:
        # A data URL has megabytes, and a thousand steps may name the same one: it is taken apart
        # and hashed once.
        name = spelled(value)
        if not isinstance(name, str):
            return parse_source(value, param)
        if name not in self._sources:
            self._sources[name] = parse_source(value, param)
        return self._sources[name]


def substituted(value: Any, ids: Mapping[str, str]) -> Any:
    """``value``, made of JSON's types, with an id for every stand-in."""
    match value:
        case str():
            return ids.get(value, value)
        case list() | tuple():
            return [substituted(one, ids) for one in value]
        case dict():
            return {name: substituted(one, ids) for name, one in value.items()}
        case _:
            return value
