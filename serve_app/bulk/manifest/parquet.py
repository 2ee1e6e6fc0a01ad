"""Manifests in Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from serve_app.bulk.manifest.reading import CHUNK_ROWS, KNOWN, Chunk, Reading, check_columns
from serve_app.errors import UnusableManifest

# Columns of whole numbers; pandas makes them 50.0 where some rows have none.
_WHOLE = frozenset({"id", "seed", "num_inference_steps", "max_attempts", "mask_box"})

_EXACT = 2**53
"""Up to here a 64-bit float is one whole number and no other."""


def read_parquet(file: BinaryIO) -> Reading:
    """Read ``file``; carried columns keep their types.

    Raises ``UnusableManifest`` if it is not Parquet or lacks a column; chunks do so too.
    """
    try:
        parquet = pq.ParquetFile(file)
        # What pandas noted of its index and types speaks of names that change.
        schema = parquet.schema_arrow.remove_metadata()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable() from error
    check_columns(schema.names)
    return Reading(schema, _chunks(parquet, schema), typed=True, has_ids="id" in schema.names)


def _chunks(parquet: pq.ParquetFile, schema: pa.Schema) -> Iterator[Chunk]:
    known = [name for name in schema.names if name in KNOWN]
    for table in _tables(parquet, schema):
        try:
            columns = [_values(table.column(name), name) for name in known]
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise _unreadable() from error
        rows = [dict(zip(known, row, strict=True)) for row in zip(*columns, strict=True)]
        yield Chunk(rows, {}, table)


def _tables(parquet: pq.ParquetFile, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows by the ``CHUNK_ROWS``, however they are grouped in the file."""
    batches = parquet.iter_batches(batch_size=CHUNK_ROWS)
    waiting: list[pa.RecordBatch] = []
    rows = 0
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable() from error
        if batch is not None:
            waiting.append(batch.replace_schema_metadata(None))
            rows += batch.num_rows
        while rows >= CHUNK_ROWS or (batch is None and rows):
            table = pa.Table.from_batches(waiting, schema=schema)
            yield table.slice(0, CHUNK_ROWS)
            rest = table.slice(CHUNK_ROWS)
            waiting, rows = rest.to_batches(), rest.num_rows
        if batch is None:
            return


def _values(column: pa.ChunkedArray, name: str) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type):
        return [_number(value, name) for value in values]
    if pa.types.is_nested(column.type):
        return [_plain(value, name) for value in values]
    return values


def _number(value: float | None, name: str) -> float | None:
    if value is None or value != value:  # pandas' way to say that there is none
        return None
    if name in _WHOLE and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


def _plain(value: Any, name: str) -> Any:
    match value:
        case dict():  # every row has all members of a struct
            return {key: one for key, one in value.items() if one is not None}
        case list():
            return [_number(one, name) if isinstance(one, float) else one for one in value]
        case _:
            return value


def _unreadable() -> UnusableManifest:
    return UnusableManifest("The manifest can't be read as Parquet: is the file whole?")
