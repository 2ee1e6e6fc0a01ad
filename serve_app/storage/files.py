"""Uploaded images, by what they show."""

from __future__ import annotations

from serve_app.images.pixels import CONTENT_ID
from serve_app.storage.blobs import BlobStore, blob_name

_KIND = "files"


class FileStore:
    """Inputs as PNG under their content id: the same pixels are stored once.

    All methods raise ``NotReady`` when the storage is full or away.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def put(self, file_id: str, png: bytes) -> None:
        """Store ``png``, the lossless encoding of the image with the content id ``file_id``.

        It is written even if it is there already: a fresh upload renews the age that an
        object store's expiry rules count.
        """
        await self._blobs.put(_name(file_id), png)

    async def png(self, file_id: str) -> bytes | None:
        """The PNG of a file; ``None`` if it is unknown."""
        if CONTENT_ID.fullmatch(file_id) is None:
            return None
        return await self._blobs.get(_name(file_id))

    async def has(self, file_id: str) -> bool:
        """Whether there is such a file."""
        return CONTENT_ID.fullmatch(file_id) is not None and await self._blobs.exists(
            _name(file_id)
        )

    async def erase(self, file_id: str, written_before: float | None = None) -> None:
        """Remove a file, if it is there, and unless it was stored since ``written_before``."""
        await self._blobs.erase(_name(file_id), written_before)

    async def ids_before(self, moment: float) -> list[str]:
        """Ids of files that were last stored before ``moment``, seconds since 1970."""
        return await self._blobs.ids_before(_KIND, moment)


def _name(file_id: str) -> str:
    return blob_name(_KIND, file_id, "png")
