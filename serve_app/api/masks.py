"""The mask of a request: a file like the images, or a box of the first one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from serve_app.api.sources import ImageSource, StoredImage, encoded_bytes, parse_source
from serve_app.edits.request import OutputSize, require_size_of_masked
from serve_app.errors import InvalidRequest
from serve_app.images.decode_pool import DecodePool
from serve_app.images.masks import Box, EditMask, require_usable
from serve_app.images.pixels import DecodedImage
from serve_app.storage.files import FileStore

MASK = "mask"
MASK_BOX = "mask_box"


@dataclass(frozen=True, slots=True)
class MaskSource:
    """Where the mask comes from; a file is not decoded yet."""

    source: ImageSource | Box

    async def load(
        self, image: DecodedImage, size: OutputSize, files: FileStore, decoder: DecodePool
    ) -> EditMask:
        """Make the mask of ``image``, the first of the request.

        Raises:
            EditServiceError: If the file can't be read, or ``UnusableMask`` if the mask does
                not fit the image, frees nothing, or the result is to have another ``size``.
        """
        require_size_of_masked(size, image.width, image.height)
        if isinstance(self.source, Box):
            return await asyncio.to_thread(EditMask.of_box, self.source, image.width, image.height)
        data = await encoded_bytes(self.source, files, MASK)
        stored = isinstance(self.source, StoredImage)
        mask = await decoder.read_mask(data, MASK, stored=stored)
        require_usable(mask.editable, image.width, image.height)
        return mask


def parse_mask(value: Any, box: Box | None) -> MaskSource | None:
    """Read the values of ``mask`` and ``mask_box``, of which one may be given.

    Raises:
        EditServiceError: If both are, or ``mask`` names no file.
    """
    if value is None:
        return None if box is None else MaskSource(box)
    if box is not None:
        raise InvalidRequest("Give the mask as `mask` or as `mask_box`.", MASK_BOX)
    return MaskSource(parse_source(value, MASK))
