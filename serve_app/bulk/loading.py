"""From a row to pixels, on CPUs: what a row names is read and decoded before an editor sees it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.row import Row
from serve_app.config import LimitsConfig
from serve_app.edits.recorded import recorded_request
from serve_app.edits.request import EditRequest, require_size_of_masked
from serve_app.errors import EditServiceError, NotReady, PartFailed
from serve_app.images.decode_pool import DecodePool
from serve_app.images.masks import Box, EditMask, require_usable
from serve_app.images.pixels import DecodedImage
from serve_app.workflows.jobs.insisting import patiently

logger = logging.getLogger(__name__)

LOADED = pa.schema([("facts", pa.string()), ("pixels", pa.list_(pa.large_binary()))])
"""A loaded row on its way between actors: what is known of it as JSON, and its pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedRow:
    """A row with its images and mask, or with why they can't be had (a code, a message)."""

    row: Row
    images: tuple[DecodedImage, ...] = ()
    mask: EditMask | None = None
    error: tuple[str, str] | None = None

    def request(self) -> EditRequest:
        """What is asked of the editors; raises ``UnusableMask``."""
        request = recorded_request(self.row.asked, self.images, self.mask)
        if self.mask is not None:
            require_size_of_masked(request.size, self.images[0].width, self.images[0].height)
        return request

    def to_arrow(self) -> pa.Table:
        """One row of the schema ``LOADED``."""
        arrays = [image.pixels for image in self.images]
        buffers = [array.tobytes() for array in arrays]
        if self.mask is not None:
            buffers.append(np.packbits(self.mask.editable).tobytes())
        facts = {
            "row": row_facts(self.row),
            "images": [[image.id, image.width, image.height] for image in self.images],
            "mask": self.mask and [self.mask.id, *self.mask.editable.shape],
            "error": self.error,
        }
        return pa.table({"facts": [json.dumps(facts)], "pixels": [buffers]}, schema=LOADED)

    @classmethod
    def from_arrow(cls, table: pa.Table, index: int) -> LoadedRow:
        """Row ``index`` of such a table; its arrays are views of the table's memory."""
        facts = json.loads(table["facts"][index].as_py())
        buffers = [scalar.as_buffer() for scalar in table["pixels"][index].values]
        images = tuple(
            DecodedImage(np.frombuffer(buffer, np.uint8).reshape(height, width, 3), image_id)
            for buffer, (image_id, width, height) in zip(buffers, facts["images"], strict=False)
        )
        mask = None
        if facts["mask"] is not None:
            mask_id, height, width = facts["mask"]
            bits = np.unpackbits(np.frombuffer(buffers[-1], np.uint8), count=height * width)
            mask = EditMask(bits.reshape(height, width).astype(np.bool_), mask_id)
        error = facts["error"]
        return cls(row_of(facts["row"]), images, mask, error and (error[0], error[1]))


def row_facts(row: Row) -> dict[str, Any]:
    """A row as plain JSON values."""
    return {
        "number": row.number,
        "id": row.id,
        "images": list(row.images),
        "mask": row.mask,
        "asked": dict(row.asked),
    }


def row_of(facts: Mapping[str, Any]) -> Row:
    """The row that ``row_facts`` wrote down."""
    return Row(facts["number"], facts["id"], tuple(facts["images"]), facts["mask"], facts["asked"])


class RowLoader:
    """Reads rows below one input root. For one event loop; ``close`` stops its processes."""

    def __init__(self, root: InputRoot, limits: LimitsConfig, patience_s: float) -> None:
        self._root = root
        self._limits = limits
        self._patience_s = patience_s
        self._pool = DecodePool(limits)

    async def load(self, row: Row) -> LoadedRow:
        """Read and decode what ``row`` names; whatever is wrong with it is in ``error``.

        Raises ``NotReady`` while the storage is away, which is no fault of the row's.
        """
        try:
            files = [await self._bytes(place) for place in row.images]
            mask = None if row.mask is None else await self._bytes(row.mask)
        except NotReady:
            raise
        except EditServiceError as error:
            return LoadedRow(row, error=(error.code, error.message))
        try:
            images = tuple([await self._pool.decode(file, "image") for file in files])
            return LoadedRow(row, images, await self._mask(row, mask, images[0]))
        except EditServiceError as error:
            return LoadedRow(row, error=(error.code, error.message))
        except Exception:  # one row must not take the others with it
            logger.exception("row %d could not be loaded", row.number)
            failed = PartFailed("The images of this row could not be loaded.")
            return LoadedRow(row, error=(failed.code, failed.message))

    def close(self) -> None:
        """Stop decoding."""
        self._pool.close()

    async def _mask(self, row: Row, file: bytes | None, image: DecodedImage) -> EditMask | None:
        if file is not None:
            mask = await self._pool.read_mask(file, "mask")
        elif (box := row.asked.get("mask_box")) is not None:
            mask = EditMask.of_box(Box(*box), image.width, image.height)
        else:
            return None
        require_usable(mask.editable, image.width, image.height)
        return mask

    async def _bytes(self, place: str) -> bytes:
        async def read() -> bytes:
            return await asyncio.to_thread(self._root.read, place, self._limits.image_bytes)

        return await patiently(read, self._patience_s, lambda: None, "reading an image")
