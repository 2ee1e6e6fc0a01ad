"""Places below the input root: from what a manifest says to bytes, and never outside."""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from urllib.parse import unquote

from serve_app.bulk.manifest.links import LeadsOutside, LinkedFolder, segments
from serve_app.bulk.manifest.location import locate
from serve_app.bulk.manifest.reading import CONTROLS
from serve_app.errors import (
    ConfigurationError,
    ImageNotFound,
    InvalidRequest,
    NotReady,
    OutsideInputRoot,
    PayloadTooLarge,
)
from serve_app.storage.byte_store import RETRY_AFTER_S

logger = logging.getLogger(__name__)

MAX_PLACE = 4096
"""Characters of a place."""

# Most places are plain: names that begin with a letter or a digit, without a colon.
_PLAIN = re.compile(r"[A-Za-z0-9_][\w.,()+=@ -]*(?:/[A-Za-z0-9_][\w.,()+=@ -]*)*", re.ASCII)
# A protocol; two of them where file systems are chained (zip://…::s3://…).
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://|(?<=file:)/|:)")

# Text is decoded so often, in case a store or a proxy before it does so too.
_DECODINGS = 3

# Nothing usable is there, or it went away; everything else is the storage's trouble.
_NOT_THERE = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.ENXIO,  # a socket, or a device without a driver
        errno.ENODEV,
    }
)


class InputRoot:
    """Everything below ``root``: a folder (``~`` is expanded) or an fsspec URL.

    ``linked`` follows links below a local root; it is ``None`` in object stores.
    Raises ``ConfigurationError`` for a storage that is not known here.
    """

    def __init__(self, root: str) -> None:
        try:
            self._root = locate(root)
        except InvalidRequest as error:
            raise ConfigurationError(f"The input root {error.message}") from None
        self._names = segments(self._root.path)
        self.linked = LinkedFolder(self._root.path) if self._root.local else None

    def place(self, text: str, field: str = "image") -> str:
        """Bring ``text``, the value of ``field`` in a manifest, to a path relative to the root.

        Relative paths, absolute ones and URLs are read; the result is normalised, with ``/``
        between names. Looks at the text alone.

        Raises:
            OutsideInputRoot: If it is not below the root, or could lead out of it.
            InvalidRequest: If it names no file.
        """
        if len(text) <= MAX_PLACE and _PLAIN.fullmatch(text):
            return text
        if not text.strip():
            raise InvalidRequest(f"`{field}` must not be empty.", field)
        if len(text) > MAX_PLACE:
            raise InvalidRequest(f"`{field}` must have at most {MAX_PLACE} characters.", field)
        if CONTROLS.search(text):
            raise InvalidRequest(f"`{field}` must not contain control characters.", field)
        names = self._below(text, field)
        if not names:
            raise InvalidRequest(f"`{field}` must name a file below the input root.", field)
        return "/".join(names)

    def _below(self, text: str, field: str) -> list[str]:
        outside = OutsideInputRoot(
            f"`{field}` must lie below the input root: a path relative to it, without `..`.", field
        )
        if text.startswith("~") or ".." in text.split("/"):
            raise outside
        if not self._root.local and _climbs(text):
            raise outside
        url = _URL.match(text)
        if url is None and not text.startswith("/"):
            return segments(text)
        if url is None:
            if not self._root.local:
                raise outside
            names = segments(text)
        else:
            if url[1].lower() not in self._root.protocols:
                raise outside
            rest = text[len(url[1]) + 1 :].removeprefix("//")
            if self._root.local and not rest.startswith("/"):  # file://host/…
                raise outside
            # Some stores keep the protocol in their paths.
            names = segments(text if "://" in self._root.path else rest)
        if names[: len(self._names)] != self._names:
            raise outside
        return names[len(self._names) :]

    def read(self, place: str, most_bytes: int) -> bytes:
        """Read the file at ``place``, which ``place()`` made, of at most ``most_bytes`` bytes.

        Links are followed as they are now. Never waits for anything but the storage.

        Raises:
            ImageNotFound: If there is nothing that can be read as a file.
            OutsideInputRoot: If a link leads out of the root.
            PayloadTooLarge: Before it is read.
            NotReady: If the storage does not answer.
        """
        if not segments(place) or ".." in place.split("/") or "\0" in place:
            raise OutsideInputRoot("The place must lie below the input root.")
        if self.linked is not None:
            data = _read_local(self.linked, place, most_bytes)
        else:
            data = self._read_remote(place, most_bytes)
        if len(data) > most_bytes:  # it grew
            raise _too_large(most_bytes)
        return data

    def _read_remote(self, place: str, most_bytes: int) -> bytes:
        fs, path = self._root.fs, f"{self._root.path}/{place}"
        try:
            facts = fs.info(path)
            if facts["type"] != "file":
                raise _not_there()
            size = facts.get("size")
            if size is None:
                with fs.open(path, "rb") as file:
                    return bytes(file.read(most_bytes + 1))
            if size > most_bytes:
                raise _too_large(most_bytes)
            return bytes(fs.cat_file(path, start=0, end=size)) if size else b""
        except (ImageNotFound, PayloadTooLarge):
            raise
        except FileNotFoundError:
            raise _not_there() from None
        except PermissionError:
            raise _not_allowed() from None
        except Exception as error:
            raise _away(error) from error


def _read_local(folder: LinkedFolder, place: str, most_bytes: int) -> bytes:
    try:
        file = folder.open(place)
    except LeadsOutside:
        raise OutsideInputRoot("A link leads out of the input root.") from None
    except PermissionError:
        raise _not_allowed() from None
    except OSError as error:
        if error.errno in _NOT_THERE and os.path.isdir(folder.real):  # noqa: PTH112
            raise _not_there() from None
        raise _away(error) from error
    try:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode):
            raise _not_there()
        if facts.st_size > most_bytes:
            raise _too_large(most_bytes)
        with os.fdopen(file, "rb", closefd=False) as opened:
            return opened.read(most_bytes + 1)
    except OSError as error:
        raise _away(error) from error
    finally:
        os.close(file)


def _climbs(text: str) -> bool:
    """Whether ``text`` has a ``..`` for whoever decodes it or takes backslashes for slashes."""
    for _ in range(_DECODINGS):
        text = unquote(text)
    return ".." in text.replace("\\", "/").split("/")


def _not_there() -> ImageNotFound:
    return ImageNotFound("There is no image at this place below the input root.")


def _not_allowed() -> ImageNotFound:
    return ImageNotFound("The image may not be read: check the permissions of the input root.")


def _too_large(most_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The image must have at most {most_bytes} bytes.")


def _away(error: Exception) -> NotReady:
    # The words of the library may hold paths: they are for the operator alone.
    logger.error("The input root could not be read: %s: %s", type(error).__name__, error)
    return NotReady("The input root does not answer. Try again later.", None, RETRY_AFTER_S)
