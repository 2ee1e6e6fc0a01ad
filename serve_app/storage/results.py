"""Finished edits: the image and everything needed to make it again."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

from serve_app.edits.result import EditResult
from serve_app.storage.blobs import BlobStore, blob_name

RESULT_ID = re.compile(r"edit-[0-9a-f]{32}")
"""What a result's id looks like; anything else is unknown without looking it up."""


def new_result_id() -> str:
    """Make an id that can't be guessed (128 random bits)."""
    return f"edit-{secrets.token_hex(16)}"


_KIND = "results"


class ResultStore:
    """Results by id: one PNG and one JSON record each.

    All methods raise ``NotReady`` when the storage is full or away.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def put(self, result: EditResult) -> None:
        """Store the image, then the record: a record means that its image is there.

        Raises ``ValueError`` for an id that ``new_result_id`` did not make and for a record
        that JSON can't hold (NaN, an infinity); nothing is stored then.
        """
        if RESULT_ID.fullmatch(result.id) is None:
            raise ValueError("not the id of a result")
        record = json.dumps(result.metadata, ensure_ascii=False, allow_nan=False).encode()
        await self._blobs.put(_image(result.id), result.png)
        await self._blobs.put(_record(result.id), record)

    async def image(self, result_id: str) -> bytes | None:
        """The PNG of a result; ``None`` if it is unknown."""
        if RESULT_ID.fullmatch(result_id) is None:
            return None
        return await self._blobs.get(_image(result_id))

    async def metadata(self, result_id: str) -> dict[str, Any] | None:
        """The record of a result, as it was stored; ``None`` if it is unknown."""
        if RESULT_ID.fullmatch(result_id) is None:
            return None
        record = await self._blobs.get(_record(result_id))
        if record is None:
            return None
        metadata: dict[str, Any] = json.loads(record)
        return metadata

    async def erase(self, result_id: str) -> None:
        """Remove a result, if it is there: the record first, so that none lacks its image."""
        await self._blobs.erase(_record(result_id))
        await self._blobs.erase(_image(result_id))

    async def ids_before(self, moment: float) -> list[str]:
        """Ids of results that were stored before ``moment``, seconds since 1970."""
        return await self._blobs.ids_before(_KIND, moment)


def _image(result_id: str) -> str:
    return blob_name(_KIND, result_id, "png")


def _record(result_id: str) -> str:
    return blob_name(_KIND, result_id, "json")
