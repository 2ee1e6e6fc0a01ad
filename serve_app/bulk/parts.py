"""The checked rows of a run as they lie in its output: Parquet files, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from serve_app.errors import RunRefused
from serve_app.storage.byte_store import ByteStore

ROWS = "rows"
"""Folder of the checked rows, as Parquet files of one schema, in their order."""


def part_names(store: ByteStore) -> list[str]:
    """Names of all parts, in the order of their rows; raises ``NotReady``."""
    return store.names(ROWS)


def part_schema(store: ByteStore, name: str) -> pa.Schema:
    """The columns of a part; raises what ``read_part`` raises."""
    with _reading(store, name) as file:
        return pq.read_schema(file)


def read_part(store: ByteStore, name: str, columns: list[str]) -> pa.Table:
    """Some columns of all rows of a part.

    Raises:
        RunRefused: The part is damaged or gone.
        NotReady: Storage is away.
    """
    with _reading(store, name) as file:
        return pq.read_table(file, columns=columns)


@contextmanager
def _reading(store: ByteStore, name: str) -> Iterator[pa.BufferReader]:
    data = store.get(name)
    try:
        yield pa.BufferReader(data or b"")
    except (pa.ArrowException, OSError) as error:  # both are of Arrow: the bytes are in memory
        raise RunRefused(
            f"`{name}` in the output folder is damaged. Choose another output folder.", "out"
        ) from error
