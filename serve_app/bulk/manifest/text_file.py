"""Manifests that are text in UTF-8."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from serve_app.errors import UnusableManifest

_BUFFER = 2**20


def as_text(file: BinaryIO, newline: str) -> io.TextIOWrapper:
    """``file`` from its beginning as text, a byte order mark left out; it stays open."""
    file.seek(0)
    # A text file closes what it reads from.
    kept_open = io.BufferedReader(_Unclosed(file), _BUFFER)
    return io.TextIOWrapper(kept_open, encoding="utf-8-sig", newline=newline)


@contextmanager
def decoding() -> Iterator[None]:
    """Raise ``UnusableManifest`` where text is not UTF-8."""
    try:
        yield
    except UnicodeDecodeError:
        raise UnusableManifest("The manifest must be text in UTF-8: save it as such.") from None


class _Unclosed(io.RawIOBase):
    """Reads ``file``, and leaves it open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
