"""Zip archives that are sent while they are made: no more than one file is in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncGenerator, AsyncIterable

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The first moment of zip's calendar: the same files make the same archive."""


class _Outlet(io.RawIOBase):
    """Takes what is written, and gives it away once."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        chunk = memoryview(data).tobytes()  # type: ignore[arg-type]
        self._written += chunk
        return len(chunk)

    def taken(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


async def zipped(files: AsyncIterable[tuple[str, bytes]]) -> AsyncGenerator[bytes, None]:
    """The bytes of an archive of ``files``, each a name and its contents, as they come.

    Nothing is made smaller, since pictures are already; but it is marked as deflated, for readers
    of streams refuse what is stored with its size behind it.
    """
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w") as archive:
        async for name, data in files:
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED, compresslevel=0)
            yield outlet.taken()
    yield outlet.taken()
