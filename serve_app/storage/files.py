"""Uploaded images, by what they show."""

from __future__ import annotations

from serve_app.images.pixels import CONTENT_ID, DecodedImage
from serve_app.storage.blobs import BlobStore, blob_name


class FileStore:
    """Inputs as PNG under their content id: the same pixels are stored once.

    All methods raise ``NotReady`` when the storage is full or away.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def put(self, image: DecodedImage, png: bytes) -> None:
        """Store ``png``, the lossless encoding of ``image``.

        It is written even if it is there already: a fresh upload renews the age that an
        object store's expiry rules count.
        """
        await self._blobs.put(_name(image.id), png)

    async def png(self, file_id: str) -> bytes | None:
        """The PNG of a file; ``None`` if it is unknown."""
        if CONTENT_ID.fullmatch(file_id) is None:
            return None
        return await self._blobs.get(_name(file_id))


def _name(file_id: str) -> str:
    return blob_name("files", file_id, "png")
