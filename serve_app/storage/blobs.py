"""Named bytes in a local folder or in any object store that fsspec knows."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from serve_app.errors import NotReady
from serve_app.storage.atomic import write_atomically

logger = logging.getLogger(__name__)

BLOB_NAME = re.compile(r"[a-z]+/[0-9a-f]{2}/[a-z]+-[0-9a-f]{32,64}\.(?:png|json)")
"""What a blob's name looks like, for example ``results/ab/edit-ab….png``."""

_BLOB_FILE = re.compile(r"[a-z]+-[0-9a-f]{32,64}\.(?:png|json)")

RETRY_AFTER_S = 30.0
"""When to come back while storage is full or away, seconds."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


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
        self._fs, self._root = fsspec.core.url_to_fs(root)
        self._local = isinstance(self._fs, LocalFileSystem)

    async def put(self, name: str, data: bytes) -> None:
        """Store ``data`` under ``name``, replacing what was there."""
        await asyncio.to_thread(self._put, self._path(name), data)

    async def get(self, name: str) -> bytes | None:
        """Read a blob; ``None`` if there is none."""
        return await asyncio.to_thread(self._get, self._path(name))

    async def exists(self, name: str) -> bool:
        """Whether there is such a blob."""
        return await asyncio.to_thread(self._exists, self._path(name))

    async def erase(self, name: str, written_before: float | None = None) -> None:
        """Remove a blob, if it is there, and unless it was written since ``written_before``.

        ``written_before`` is in seconds since 1970.
        """
        await asyncio.to_thread(self._erase, self._path(name), written_before)

    async def ids_before(self, kind: str, moment: float) -> list[str]:
        """Ids of all blobs of ``kind`` that were last written before ``moment``.

        ``moment`` is in seconds since 1970. Ids come sorted, each once.
        """
        return await asyncio.to_thread(self._ids_before, kind, moment)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{_checked(name)}"

    def _put(self, path: str, data: bytes) -> None:
        with _storage_errors("write"):
            if self._local:
                write_atomically(Path(path), [data], durable=True)
            else:
                self._fs.pipe_file(path, data)

    def _get(self, path: str) -> bytes | None:
        with _storage_errors("read"):
            try:
                return bytes(self._fs.cat_file(path))
            except FileNotFoundError:
                return None

    def _exists(self, path: str) -> bool:
        with _storage_errors("look for a blob"):
            try:
                # Not ``exists``, for which some file systems take every trouble as a no.
                self._fs.info(path)
            except FileNotFoundError:
                return False
            return True

    def _erase(self, path: str, written_before: float | None) -> None:
        with _storage_errors("erase"), suppress(FileNotFoundError):
            if written_before is None or _written_at(self._fs.info(path)) < written_before:
                self._fs.rm_file(path)

    def _ids_before(self, kind: str, moment: float) -> list[str]:
        with _storage_errors("list"):
            try:
                found = self._fs.find(f"{self._root.rstrip('/')}/{kind}", detail=True)
            except FileNotFoundError:
                return []
        old = (path for path, facts in found.items() if _written_at(facts) < moment)
        names = (PurePosixPath(path) for path in old)
        return sorted({name.stem for name in names if _BLOB_FILE.fullmatch(name.name)})


def _written_at(facts: dict[str, Any]) -> float:
    """When a blob was written, seconds since 1970, by whatever its file system calls that.

    One that doesn't say is as new as can be: it is not ours to erase.
    """
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        match facts.get(name):
            case datetime() as at:
                return at.timestamp()
            case float() | int() as seconds:
                return float(seconds)
            case str() as text:
                return datetime.fromisoformat(text).timestamp()
    return float("inf")


def _checked(name: str) -> str:
    if BLOB_NAME.fullmatch(name) is None:
        raise ValueError("not the name of a blob")
    return name


@contextmanager
def _storage_errors(operation: str) -> Iterator[None]:
    """Turn errors of the storage into 503: they are ours, not the client's, and they pass."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            message = "Storage is full, so nothing was stored. Try again later."
        else:
            message = "Storage does not answer. Try again later."
        # The words of the library may hold paths: they are for the operator alone.
        logger.error("Storage could not %s: %s: %s", operation, type(error).__name__, error)
        raise NotReady(message, None, RETRY_AFTER_S) from error
