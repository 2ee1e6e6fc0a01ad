"""Named bytes in a local folder or in any object store that fsspec knows."""

from __future__ import annotations

import asyncio
import re
from pathlib import PurePosixPath

from serve_app.storage.byte_store import ByteStore

BLOB_NAME = re.compile(r"[a-z]+/[0-9a-f]{2}/[a-z]+-[0-9a-f]{32,64}\.(?:png|json)")
"""What a blob's name looks like, for example ``results/ab/edit-ab….png``."""

_BLOB_FILE = re.compile(r"[a-z]+-[0-9a-f]{32,64}\.(?:png|json)")


def blob_name(kind: str, object_id: str, suffix: str) -> str:
    """Name the blob of ``object_id`` (``word-hex``), spread over 256 folders.

    A name is a function of ids that the server made: nothing a client sends becomes part
    of a path. Raises ``ValueError`` for an id of another shape.
    """
    _, _, digits = object_id.partition("-")
    return _checked(f"{kind}/{digits[:2]}/{object_id}.{suffix}")


class BlobStore:
    """Bytes by name under ``root``: a folder (``~`` is expanded) or an fsspec URL.

    Writes are atomic: a local file is written under a temporary name and renamed, and
    object stores show an object only when it is complete. Blocking calls run in a thread.

    Every method raises ``ValueError`` for a name that is not of the form ``BLOB_NAME``, and
    ``NotReady`` when the storage is full or does not answer.
    """

    def __init__(self, root: str) -> None:
        self._store = ByteStore(root)

    async def put(self, name: str, data: bytes) -> None:
        """Store ``data`` under ``name``, replacing what was there."""
        await asyncio.to_thread(self._store.put, _checked(name), data)

    async def get(self, name: str) -> bytes | None:
        """Read a blob; ``None`` if there is none."""
        return await asyncio.to_thread(self._store.get, _checked(name))

    async def exists(self, name: str) -> bool:
        """Whether there is such a blob."""
        return await asyncio.to_thread(self._store.exists, _checked(name))

    async def erase(self, name: str, written_before: float | None = None) -> None:
        """Remove a blob, if it is there, and unless it was written since ``written_before``.

        ``written_before`` is in seconds since 1970.
        """
        await asyncio.to_thread(self._erase, _checked(name), written_before)

    async def ids_before(self, kind: str, moment: float) -> list[str]:
        """Ids of all blobs of ``kind`` that were last written before ``moment``.

        ``moment`` is in seconds since 1970. Ids come sorted, each once.
        """
        return await asyncio.to_thread(self._ids_before, kind, moment)

    def _erase(self, name: str, written_before: float | None) -> None:
        if written_before is not None:
            written_at = self._store.written_at(name)
            if written_at is None or written_at >= written_before:
                return
        self._store.erase(name)

    def _ids_before(self, kind: str, moment: float) -> list[str]:
        written = self._store.written(kind).items()
        names = (PurePosixPath(name) for name, written_at in written if written_at < moment)
        return sorted({name.stem for name in names if _BLOB_FILE.fullmatch(name.name)})


def _checked(name: str) -> str:
    if BLOB_NAME.fullmatch(name) is None:
        raise ValueError("not the name of a blob")
    return name
