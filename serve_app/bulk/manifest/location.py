"""Where files are: a local folder, or any object store that fsspec knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from serve_app.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Location:
    """``path`` as the file system ``fs`` has it, absolute, without protocol or slash at its end."""

    fs: Any
    path: str

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        return isinstance(self.fs, LocalFileSystem)

    @property
    def protocols(self) -> tuple[str, ...]:
        """What URLs of this file system begin with, before ``://``."""
        names = self.fs.protocol
        return (names,) if isinstance(names, str) else tuple(names)

    @property
    def absolute(self) -> str:
        """The place as one writes it: an absolute path or a URL."""
        return self.path if self.local else str(self.fs.unstrip_protocol(self.path))


def locate(place: str) -> Location:
    """Find the file system of ``place``, a path (``~`` is expanded) or a URL; opens nothing.

    Raises ``InvalidRequest`` for a storage that is not known here.
    """
    try:
        # Without a cache of listings: others write there too.
        fs, path = fsspec.core.url_to_fs(place, use_listings_cache=False)
    except (ValueError, ImportError, TypeError):
        raise InvalidRequest(
            "must be a path, or a URL of a storage that is installed here, for example s3://."
        ) from None
    return Location(fs, path.rstrip("/") or "/")
