"""Where a manifest is and of which kind, and its bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from serve_app.bulk.manifest.folder import FoundImage, images_below
from serve_app.bulk.manifest.location import Location, locate
from serve_app.errors import InvalidRequest, UnusableManifest

_PIECE = 8 * 2**20


class Kind(StrEnum):
    """In which format a manifest is."""

    PARQUET = "parquet"
    JSON_LINES = "jsonl"
    CSV = "csv"
    FOLDER = "folder"


_KINDS = {
    ".parquet": Kind.PARQUET,
    ".pq": Kind.PARQUET,
    ".jsonl": Kind.JSON_LINES,
    ".ndjson": Kind.JSON_LINES,
    ".json": Kind.JSON_LINES,
    ".csv": Kind.CSV,
}


@dataclass(frozen=True, slots=True)
class Source:
    """A manifest at ``place``, a path or an fsspec URL; ``prompts`` are for folders alone.

    Of a folder every image is edited with every prompt.
    """

    place: str
    prompts: tuple[str, ...] = ()

    @property
    def location(self) -> Location:
        """Where it is. Raises ``UnusableManifest`` for a storage that is not known here."""
        try:
            return locate(self.place)
        except InvalidRequest as error:
            raise UnusableManifest(f"The manifest {error.message}") from None

    @property
    def kind(self) -> Kind:
        """Of which kind it is: what is there decides, and a file's name.

        Raises ``UnusableManifest`` if it is not there, of no known kind, an empty file, a file
        with ``prompts`` or a folder without.
        """
        size = _size(self.location)
        if size is None:
            if not self.prompts:
                raise UnusableManifest("A folder of images needs at least one prompt.")
            return Kind.FOLDER
        suffix = PurePosixPath(self.location.path).suffix.lower()
        if suffix not in _KINDS:
            raise UnusableManifest(
                "The manifest must be a folder of images or a file that ends in one of "
                f"{', '.join(_KINDS)}."
            )
        if self.prompts:
            raise UnusableManifest(
                "Prompts can be given for a folder of images alone: a file has its own, in the "
                "column `prompt`."
            )
        if size == 0:
            raise UnusableManifest("The manifest is empty.")
        return _KINDS[suffix]

    def images(self) -> list[FoundImage]:
        """All images of a folder, sorted. Raises ``UnusableManifest`` if it can't be read."""
        with _readable():
            return images_below(self.location)


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """The manifest's bytes, seekable; from an object store they are copied first.

    Raises ``UnusableManifest`` if they can't be read.
    """
    location = source.location
    with ExitStack() as stack:
        with _readable():
            if location.local:
                file: BinaryIO = stack.enter_context(Path(location.path).open("rb"))
            else:
                file = cast(BinaryIO, stack.enter_context(tempfile.TemporaryFile()))
                with location.fs.open(location.path, "rb") as remote:
                    shutil.copyfileobj(remote, file, _PIECE)
                file.seek(0)
        yield file


def digest_of(source: Source) -> str:
    """SHA-256 as 64 hex digits: of another manifest it is another one.

    Over the bytes of a file; of a folder over its images' names, sizes and times of change (or
    what the store has instead) and over the prompts.

    Raises ``UnusableManifest`` if the manifest is not there.
    """
    if source.kind is Kind.FOLDER:
        return digest_of_folder(source.images(), source.prompts)
    with opened(source) as file:
        return digest_of_file(file)


def digest_of_file(file: BinaryIO) -> str:
    """``digest_of`` a manifest that is open, wherever it is; goes back to the beginning."""
    with _readable():
        file.seek(0)
        digest = hashlib.file_digest(cast(Any, file), "sha256").hexdigest()
        file.seek(0)
    return digest


def digest_of_folder(images: Iterable[FoundImage], prompts: Sequence[str]) -> str:
    """``digest_of`` a folder in which ``images`` were found."""
    digest = hashlib.sha256(json.dumps(prompts).encode())
    for image in images:
        digest.update(json.dumps([image.name, image.size, image.stamp]).encode() + b"\n")
    return digest.hexdigest()


def _size(location: Location) -> int | None:
    """Bytes of the file, ``None`` for a folder."""
    with _readable():
        if not location.local:
            info = location.fs.info(location.path)
        else:
            facts = Path(location.path).stat()
            if not (stat.S_ISDIR(facts.st_mode) or stat.S_ISREG(facts.st_mode)):
                raise UnusableManifest("The manifest is neither a file nor a folder.")
            folder = stat.S_ISDIR(facts.st_mode)
            info = {"type": "directory" if folder else "file", "size": facts.st_size}
    return None if info["type"] == "directory" else int(info["size"])


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except UnusableManifest:
        raise
    except FileNotFoundError:
        raise UnusableManifest("The manifest is not there.") from None
    except PermissionError:
        raise UnusableManifest("The manifest may not be read: check its permissions.") from None
    except Exception as error:
        raise UnusableManifest(
            "The manifest can't be read: its storage does not answer as it should."
        ) from error
