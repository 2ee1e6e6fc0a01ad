"""Where files are: a local folder, or any object store that fsspec knows."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from serve_app.errors import InvalidRequest

# The web, text that is itself the data, and file systems within others (zip://…::s3://…).
_REFUSED = re.compile(r"(?:https?|ftps?|data):|.*::", re.IGNORECASE | re.DOTALL)


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

    A local path is normalised by its text alone: ``a/../b`` is ``b`` even if ``a`` is a link.

    Raises ``InvalidRequest`` for a storage that is not known here, the web and chained URLs.
    """
    if _REFUSED.match(place):
        raise InvalidRequest("must be a path, or a URL of object storage such as s3://….")
    try:
        # Without a cache of listings: others write there too.
        fs, path = fsspec.core.url_to_fs(place, use_listings_cache=False)
    except (ValueError, ImportError, TypeError):
        raise InvalidRequest(
            "must be a path, or a URL of a storage that is installed here, for example s3://."
        ) from None
    if isinstance(fs, LocalFileSystem):
        # POSIX keeps two slashes at the beginning.
        path = "/" + os.path.abspath(path).lstrip("/")  # noqa: PTH100 (lexical)
    return Location(fs, path.rstrip("/") or "/")
