"""What every format of a manifest is read as: rows by the thousand, with their own columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from serve_app.api.edit_parameters import EditParameters
from serve_app.errors import InvalidRequest, UnusableManifest

CHUNK_ROWS = 10_000
"""Rows that are read, checked and stored together, at most."""

CHUNK_CHARACTERS = 64 * 2**20
"""Characters of text after which a chunk ends, however few rows it has."""

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that no name has: controls, separators of lines and halves of characters."""

MAX_COLUMNS = 1_000

MAX_ID = 200
"""Characters of a row's id."""

PARAMETERS = tuple(EditParameters.model_fields)
KNOWN = frozenset({"id", "image", "mask", *PARAMETERS})
"""Columns that say what to do; all others are carried along."""

T = TypeVar("T")

_REQUIRED = ("image", "prompt")


@dataclass(frozen=True, slots=True)
class Chunk:
    """``CHUNK_ROWS`` rows, what is left, or fewer of much text.

    ``values`` has a mapping for each with (at least) the known columns, and ``faults`` why some
    can't be read, by their index. ``table`` has all columns as they were written.
    """

    values: Sequence[Mapping[str, Any]]
    faults: Mapping[int, InvalidRequest]
    table: pa.Table


@dataclass(frozen=True, slots=True)
class Reading:
    """A manifest that is being read; all chunks' tables have its ``schema``.

    Values have JSON's types if ``typed`` and are text otherwise. ``has_ids`` tells whether the
    rows have to have an ``id``.
    """

    schema: pa.Schema
    chunks: Iterator[Chunk]
    typed: bool
    has_ids: bool


def check_columns(names: Sequence[str]) -> None:
    """Raise ``UnusableManifest`` unless a header of ``names`` has all that it needs, once.

    Names with control characters are refused too: they would reach terminals and reports.
    """
    if odd := next((name for name in names if CONTROLS.search(name)), None):
        raise UnusableManifest(
            f"The name of the column {odd[:64]!a} has control characters: rename it."
        )
    if missing := [name for name in _REQUIRED if name not in names]:
        columns = " and ".join(f"`{name}`" for name in missing)
        raise UnusableManifest(f"The manifest has no column {columns}.")
    if len(names) > MAX_COLUMNS:
        raise too_many_columns()
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise UnusableManifest(f"The manifest has two columns with the name `{twice[:64]}`.")


def too_many_columns() -> UnusableManifest:
    """Why a manifest of more than ``MAX_COLUMNS`` is refused."""
    return UnusableManifest(f"The manifest has more than {MAX_COLUMNS} columns.")


def grouped(items: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """``items`` by the ``most``, or fewer that have ``CHUNK_CHARACTERS`` by their ``size``."""
    some: list[T] = []
    characters = 0
    for item in items:
        some.append(item)
        characters += size(item)
        if len(some) == most or characters >= CHUNK_CHARACTERS:
            yield some
            some, characters = [], 0
    if some:
        yield some


def text_array(texts: Sequence[str | None]) -> pa.Array:
    """``texts`` as an Arrow array; halves of characters, which it can't hold, are replaced."""
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([text and whole_text(text) for text in texts], pa.string())


def whole_text(text: str) -> str:
    """``text`` with U+FFFD for every unpaired surrogate, which UTF-8 can't carry."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
