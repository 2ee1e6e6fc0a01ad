"""Bytes by name below a local folder or a place in any object store that fsspec knows."""

from __future__ import annotations

import errno
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from serve_app.errors import ConfigurationError, NotReady
from serve_app.storage.atomic import TEMPORARY_SUFFIX, write_atomically, writing_atomically

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 30.0
"""When to come back while storage is full or away, seconds."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class ByteStore:
    """Files below ``root``: a folder (``~`` is expanded) or an fsspec URL.

    Names are posix paths relative to ``root``, and ours: none comes from a user. Writes are
    atomic and their bytes on the disk before they can be seen: a local file is written under
    a temporary name and renamed, and object stores show an object only when it is complete.

    All methods block, may be called by any thread, and raise ``NotReady`` when the storage is
    full, refuses access or does not answer. ``ConfigurationError`` is raised at once for a URL
    of a kind that is not known here.
    """

    local: Path | None
    """The folder, if it is one."""

    def __init__(self, root: str) -> None:
        try:
            # Without a cache of listings: other processes write here too.
            self._fs, path = fsspec.core.url_to_fs(root, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            kind = root.partition("://")[0][:20]
            raise ConfigurationError(
                f"There is no storage of the kind `{kind}` here. Name a folder or a URL such as "
                "`s3://bucket/folder`, and install the package for its kind (s3fs for S3).",
            ) from error
        self.root = str(path).rstrip("/")
        self.local = Path(path) if isinstance(self._fs, LocalFileSystem) else None

    def put(self, name: str, data: bytes) -> None:
        """Store ``data`` under ``name``, replacing what was there."""
        with storage_errors("write"):
            if self.local is not None:
                write_atomically(self.local / name, [data], durable=True)
            else:
                self._fs.pipe_file(self._path(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Store ``data`` unless there is something under ``name``; whether that was done.

        Of two that do this at once one succeeds, in a folder, in memory and in S3. Stores that
        know S3's language but not this part of it may let both.
        """
        with storage_errors("create"):
            if self.local is not None:
                (self.local / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                self._fs.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if _code(error) == "PreconditionFailed":
                    return False
                if error.errno != errno.ENOSYS:
                    raise
                if self.exists(name):
                    return False
                self.put(name, data)
            return True

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file to write, which is there under ``name`` at the end and not before.

        If the body raises, nothing is left and what was there stays.
        """
        # Of what the body raises, only errors of files can be ours.
        with storage_errors("write", OSError):
            if self.local is not None:
                with writing_atomically(self.local / name, durable=True) as file:
                    yield file
                return
            # By a file of this machine: not all stores can take back what they were sent half.
            with tempfile.TemporaryDirectory() as folder:
                whole = Path(folder) / PurePosixPath(name).name
                with whole.open("xb") as file:
                    yield file
                with storage_errors("write"):
                    self._fs.put_file(str(whole), self._path(name))

    def get(self, name: str) -> bytes | None:
        """What is stored under ``name``; ``None`` if there is nothing."""
        with storage_errors("read"), _absent():
            return bytes(self._fs.cat_file(self._path(name)))
        return None

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return self.written_at(name) is not None

    def written_at(self, name: str) -> float | None:
        """When a file was last written, seconds since 1970 by the storage's own clock.

        Infinity if the storage doesn't say, and ``None`` if there is no such file.
        """
        with storage_errors("look for a file"), _absent():
            # Not ``exists``, for which some file systems take every trouble as a no.
            return _written_at(self._fs.info(self._path(name)))
        return None

    def erase(self, name: str) -> None:
        """Remove a file, if it is there."""
        with storage_errors("erase"), _absent():
            self._fs.rm_file(self._path(name))

    def names(self, folder: str) -> list[str]:
        """Names of all files below ``folder``, sorted; ``""`` is the root."""
        return sorted(self.written(folder))

    def written(self, folder: str) -> dict[str, float]:
        """Names of all files below ``folder`` and when each was written, as ``written_at``.

        Unfinished files are left out.
        """
        with storage_errors("list"), _absent():
            found = self._fs.find(self._path(folder).rstrip("/"), detail=True)
            names = ((path.removeprefix(f"{self.root}/"), facts) for path, facts in found.items())
            return {name: _written_at(facts) for name, facts in names if not _is_unfinished(name)}
        return {}

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"


def _is_unfinished(name: str) -> bool:
    return PurePosixPath(name).name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)


def _written_at(facts: dict[str, Any]) -> float:
    """When a file was written, seconds since 1970, by whatever its file system calls that.

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


@contextmanager
def _absent() -> Iterator[None]:
    """Leave the block where there is no such file; without its bucket that is no answer."""
    try:
        yield
    except FileNotFoundError as error:
        if _code(error) == "NoSuchBucket":
            raise


def _code(error: OSError) -> str | None:
    """What S3 called an error that s3fs made one of the system's."""
    response = getattr(error.__cause__, "response", None) or {}
    code: str | None = response.get("Error", {}).get("Code")
    return code


@contextmanager
def storage_errors(operation: str, kind: type[Exception] = Exception) -> Iterator[None]:
    """Turn errors of the storage into 503: they are ours, not the client's, and they pass."""
    try:
        yield
    except kind as error:
        if not _is_of_storage(error):
            raise
        # The words of the library may hold paths: they are for the operator alone.
        logger.error("Storage could not %s: %s: %s", operation, type(error).__name__, error)
        raise NotReady(_told(error), None, RETRY_AFTER_S) from error


def _is_of_storage(error: Exception) -> bool:
    """Whether it is the system's, or one that an object store's library has of its own."""
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or package not in {"builtins", "serve_app"}


def _told(error: Exception) -> str:
    if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
        return "Storage refuses access. Check its credentials and rights."
    if isinstance(error, FileNotFoundError):
        return "There is no such bucket or folder in storage. Create it, or correct its name."
    if isinstance(error, OSError) and error.errno in _FULL:
        return "Storage is full, so nothing was stored. Try again later."
    return "Storage does not answer. Try again later."
