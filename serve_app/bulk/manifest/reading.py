"""What every format of a manifest is read as: rows by the thousand, with their own columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from serve_app.api.edit_parameters import EditParameters
from serve_app.errors import InvalidRequest, UnusableManifest

CHUNK_ROWS = 10_000
"""Rows that are read, checked and stored together."""

MAX_COLUMNS = 1_000

MAX_ID = 200
"""Characters of a row's id."""

PARAMETERS = tuple(EditParameters.model_fields)
KNOWN = frozenset({"id", "image", "mask", *PARAMETERS})
"""Columns that say what to do; all others are carried along."""

_REQUIRED = ("image", "prompt")


@dataclass(frozen=True, slots=True)
class Chunk:
    """``CHUNK_ROWS`` rows, or what is left.

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
    """Raise ``UnusableManifest`` unless a header of ``names`` has all that it needs, once."""
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


def text_array(texts: Sequence[str | None]) -> pa.Array:
    """``texts`` as an Arrow array; halves of characters, which it can't hold, are replaced."""
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([text and whole_text(text) for text in texts], pa.string())


def whole_text(text: str) -> str:
    """``text`` with U+FFFD for every unpaired surrogate, which UTF-8 can't carry."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
