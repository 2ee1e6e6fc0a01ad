"""A folder of images as a manifest: every image with every prompt."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from serve_app.bulk.manifest.location import Location
from serve_app.bulk.manifest.reading import CHUNK_ROWS, MAX_ID, Chunk, Reading, text_array
from serve_app.errors import UnusableManifest

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})

_SCHEMA = pa.schema([("image", pa.string()), ("prompt", pa.string())])


@dataclass(frozen=True, slots=True)
class FoundImage:
    """``name`` is relative to the folder; ``stamp`` changes when the file does."""

    name: str
    size: int
    stamp: str


def images_below(location: Location) -> list[FoundImage]:
    """All images in a folder and those in it, by their suffixes, sorted by name.

    What is hidden is left out, and linked folders are not followed. Raises ``OSError``.
    """
    found = _found_local(location) if location.local else _found_remote(location)
    return sorted(found, key=lambda image: image.name)


def read_folder(
    location: Location, images: Sequence[FoundImage], prompts: Sequence[str]
) -> Reading:
    """The rows of a folder in which ``images`` were found: each of them with every prompt.

    Raises ``UnusableManifest`` if there are none.
    """
    names = [image.name for image in images]
    if not names:
        raise UnusableManifest("The folder has no PNG, JPEG or WebP images.")
    return Reading(_SCHEMA, _chunks(location.absolute, names, prompts), typed=True, has_ids=False)


def _chunks(folder: str, names: Sequence[str], prompts: Sequence[str]) -> Iterator[Chunk]:
    rows = (
        (name, number, prompt) for name in names for number, prompt in enumerate(prompts, start=1)
    )
    while some := list(islice(rows, CHUNK_ROWS)):
        values = [_row(folder, name, number, prompt, len(prompts)) for name, number, prompt in some]
        images = text_array([name for name, _, _ in some])
        table = pa.table([images, pa.array([prompt for _, _, prompt in some])], schema=_SCHEMA)
        yield Chunk(values, {}, table)


def _row(folder: str, name: str, number: int, prompt: str, prompts: int) -> dict[str, Any]:
    row = {"image": f"{folder.rstrip('/')}/{name}", "prompt": prompt}
    row_id = name if prompts == 1 else f"{name}#{number}"
    # A longer one is made from the content.
    return row | {"id": row_id} if len(row_id) <= MAX_ID else row


def _found_local(location: Location) -> Iterator[FoundImage]:
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(f"{location.path}/{prefix}") as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
                # Where a link leads, and whether it may, is looked at as of every other row.
                elif _is_image(name) and (
                    entry.is_symlink() or entry.is_file(follow_symlinks=False)
                ):
                    facts = entry.stat(follow_symlinks=False)
                    yield FoundImage(name, facts.st_size, str(facts.st_mtime_ns))


def _found_remote(location: Location) -> Iterator[FoundImage]:
    for path, facts in location.fs.find(location.path, detail=True).items():
        name = path.removeprefix(location.path).lstrip("/")
        if _is_image(name) and not any(part.startswith(".") for part in name.split("/")):
            stamps = ("ETag", "etag", "md5", "mtime", "LastModified", "last_modified", "created")
            stamp = next((str(facts[key]) for key in stamps if facts.get(key)), "")
            yield FoundImage(name, int(facts.get("size") or 0), stamp)


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _SUFFIXES
