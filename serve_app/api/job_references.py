"""The images that a job's specification names: sent with it, inline, or stored before."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from serve_app.api.context import Context
from serve_app.api.disconnect import all_or_none
from serve_app.api.sources import ImageSource, InlineImage, StoredImage, encoded_bytes, parse_source
from serve_app.errors import InvalidRequest, NotFound, TooManyImages, UnknownField
from serve_app.images.encoding import OutputFormat, encode

_AT_ONCE = 8


class References:
    """Collects images while a specification is read; afterwards all are stored and have ids.

    Until then each has a stand-in, which nothing that users write can be equal to. ``parts`` are
    the files that came beside the specification: ``@NAME`` stands for the part ``NAME``.
    """

    def __init__(self, parts: Mapping[str, bytes], max_images: int) -> None:
        self._parts = parts
        self._max_images = max_images
        self._secret = secrets.token_hex(8)
        self._stand_ins: dict[ImageSource, str] = {}
        self._params: dict[ImageSource, str] = {}
        self._used: set[str] = set()

    def images(self, value: Any, param: str) -> tuple[str, ...]:
        """Stand-ins of the images of one edit: one value or a list.

        Raises an ``EditServiceError`` if there are too many or one names no image.
        """
        values = value if isinstance(value, list) else [value]
        if not values:
            raise InvalidRequest("An image is required.", param)
        if len(values) > self._max_images:
            raise TooManyImages(f"An edit takes at most {self._max_images} images.", param)
        return tuple(self.image(one, param) for one in values)

    def image(self, value: Any, param: str) -> str:
        """The stand-in of an image."""
        source = self._source(value, param)
        self._params.setdefault(source, param)
        return self._stand_ins.setdefault(source, f"{self._secret}-{len(self._stand_ins)}")

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

        async def one(source: ImageSource) -> str:
            async with places:
                return await _id_of(source, self._params[source], context)

        ids = await all_or_none(one(source) for source in self._stand_ins)
        return dict(zip(self._stand_ins.values(), ids, strict=True))

    def _source(self, value: Any, param: str) -> ImageSource:
        if not (isinstance(value, str) and value.startswith("@")):
            return parse_source(value, param)
        name = value[1:]
        if name not in self._parts:
            raise NotFound("No file of this name came with the job.", param)
        self._used.add(name)
        return InlineImage(self._parts[name])


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


async def _id_of(source: ImageSource, param: str, context: Context) -> str:
    if isinstance(source, StoredImage):
        if not await context.files.has(source.file_id):
            raise NotFound("There is no file with this id.", param)
        return source.file_id
    image = await context.decoder.decode(await encoded_bytes(source, context.files, param), param)
    await context.files.put(image, await asyncio.to_thread(encode, image.pixels, OutputFormat.PNG))
    return image.id
