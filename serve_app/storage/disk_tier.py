"""The disk tier of the result cache: a bounded folder of checked entries.

An entry is one file: the SHA-256 of all that follows (hex, one line), a header (JSON, one
line: the key and every field of the result but the image), and the PNG. The digest is
checked on every read, so that a damaged disk costs an edit and never delivers bad bytes.

The tier is a convenience: whatever the disk does (full, read-only, gone), a caller sees a
miss, and the log has one line per kind of trouble.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from serve_app.edits.result import EditResult
from serve_app.storage.atomic import TEMPORARY_SUFFIX, write_atomically

logger = logging.getLogger(__name__)

ENTRY_SUFFIX = ".edit"

_WRITTEN_WITHIN_S = 60.0
"""What is not finished after so long never will be."""

_HEADER_FIELDS = tuple(field.name for field in fields(EditResult) if field.name != "png")


class DamagedEntryError(Exception):
    """An entry's bytes are not the ones that were written for its key."""


class DiskTier:
    """Results in ``folder``, at most ``max_bytes`` of them, the least recently used leave.

    Blocking and thread-safe. What a former process left in the folder is found again by its
    file names, sizes and times, without reading it. Shards of a cache that are on one node may
    share a folder: each holds its own writes within the bound, and looks again when it starts.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._index: OrderedDict[str, int] = OrderedDict()  # file name: bytes, oldest use first
        self._bytes = 0
        # Held for moments only: a file's times or its end change together with the index.
        self._index_lock = threading.RLock()
        # One writer at a time: room is made before the bytes are written, so that the
        # bound holds at every moment. Readers never wait for it.
        self._write_lock = threading.Lock()
        self._logged: set[tuple[str, int | None]] = set()
        with self._degrading("open"):
            self._rebuild()

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._index)

    def get(self, key: str) -> EditResult | None:
        """Read an entry and note its use; ``None`` if it is missing, damaged or unreadable."""
        name = _file_name(key)
        result = None
        with self._degrading("read"):
            try:
                result = _decode(key, (self._folder / name).read_bytes())
            except FileNotFoundError:
                pass
            except DamagedEntryError:
                logger.warning("A damaged entry of the disk cache was removed")
                self._remove(name)
                return None
            with self._degrading("touch"):
                self._note_use(name)
        return result

    def put(self, key: str, result: EditResult) -> None:
        """Store a result; one that is larger than the tier is not kept."""
        name = _file_name(key)
        head = _encode_head(key, result)
        size = len(head) + len(result.png)
        if size > self._max_bytes:
            return
        with self._write_lock, self._degrading("write"):
            self._make_room(size)
            write_atomically(self._folder / name, [head, result.png], durable=False)
            self._note_use(name)

    def discard(self, key: str) -> None:
        """Remove the entry of ``key``, if there is one."""
        with self._write_lock, self._degrading("remove"):
            self._remove(_file_name(key))

    def _rebuild(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        found: list[tuple[float, str, int]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if not entry.is_file(follow_symlinks=False):
                    continue
                if entry.name.endswith(ENTRY_SUFFIX):
                    stat = entry.stat(follow_symlinks=False)
                    found.append((stat.st_mtime, entry.name, stat.st_size))
                elif _left_by_a_writer(entry):
                    Path(entry.path).unlink(missing_ok=True)
        for _, name, size in sorted(found):
            self._remember(name, size)
        self._make_room(0)

    def _make_room(self, size: int) -> None:
        with self._index_lock:
            while self._index and self._bytes + size > self._max_bytes:
                self._remove(next(iter(self._index)))

    def _remove(self, name: str) -> None:
        with self._index_lock:
            # First the file: bytes that can't be freed must go on counting.
            (self._folder / name).unlink(missing_ok=True)
            self._forget(name)

    def _note_use(self, name: str) -> None:
        """Make an entry the latest, counted as it is now.

        Since it was read or written, another thread may have evicted it or written it again.
        """
        path = self._folder / name
        with self._index_lock:
            try:
                os.utime(path)  # so that the order survives a restart
                self._remember(name, path.stat().st_size)
            except FileNotFoundError:
                self._forget(name)

    def _remember(self, name: str, size: int) -> None:
        with self._index_lock:
            self._bytes += size - self._index.pop(name, 0)
            self._index[name] = size

    def _forget(self, name: str) -> None:
        with self._index_lock:
            self._bytes -= self._index.pop(name, 0)

    @contextmanager
    def _degrading(self, operation: str) -> Iterator[None]:
        """Swallow the disk's errors, logging each kind once."""
        try:
            yield
        except OSError as error:
            kind = (operation, error.errno)
            if kind not in self._logged:
                self._logged.add(kind)
                logger.warning("Disk cache can't %s, going on without: %s", operation, error)


def _left_by_a_writer(entry: os.DirEntry[str]) -> bool:
    """Whether a file was being written by a process that has been killed."""
    temporary = f"{ENTRY_SUFFIX}." in entry.name and entry.name.endswith(TEMPORARY_SUFFIX)
    age_s = time.time() - entry.stat(follow_symlinks=False).st_mtime
    return temporary and age_s > _WRITTEN_WITHIN_S


def _file_name(key: str) -> str:
    # Hashed, so that no key, whatever it looks like, can name a path.
    return hashlib.sha256(key.encode()).hexdigest() + ENTRY_SUFFIX


def _encode_head(key: str, result: EditResult) -> bytes:
    """Everything of an entry that stands before the PNG."""
    record = {name: getattr(result, name) for name in _HEADER_FIELDS}
    header = json.dumps({"key": key, "result": record}).encode() + b"\n"
    digest = hashlib.sha256(header)
    digest.update(result.png)
    return digest.hexdigest().encode() + b"\n" + header


def _decode(key: str, data: bytes) -> EditResult:
    """Read an entry; raises ``DamagedEntryError`` unless it is whole and belongs to ``key``."""
    digest, _, payload = data.partition(b"\n")
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise DamagedEntryError
    header, _, png = payload.partition(b"\n")
    try:
        content = json.loads(header)
        if content["key"] != key:
            raise DamagedEntryError
        return EditResult(png=png, **content["result"])
    except (ValueError, KeyError, TypeError) as error:  # written by another version
        raise DamagedEntryError from error
