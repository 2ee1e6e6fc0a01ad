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
    """Read ``file``; carried columns keep their types, but views are plain text and bytes.

    Raises ``UnusableManifest`` if it is not Parquet or lacks a column; chunks do so too, and if
    there is a column of a type that can't be carried.
    """
    try:
        parquet = pq.ParquetFile(file)
        # What pandas noted of its index and types speaks of names that change.
        schema = _without_views(parquet.schema_arrow.remove_metadata())
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable() from error
    check_columns(schema.names)
    return Reading(schema, _chunks(parquet, schema), typed=True, has_ids="id" in schema.names)


def _chunks(parquet: pq.ParquetFile, schema: pa.Schema) -> Iterator[Chunk]:
    known = [name for name in schema.names if name in KNOWN]
    for number, table in enumerate(_tables(parquet, schema)):
        if number == 0:
            _check_types(table)
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
            waiting.append(_cast(batch, schema))
            rows += batch.num_rows
        while rows >= CHUNK_ROWS or (batch is None and rows):
            table = pa.Table.from_batches(waiting, schema=schema)
            yield table.slice(0, CHUNK_ROWS)
            rest = table.slice(CHUNK_ROWS)
            waiting, rows = rest.to_batches(), rest.num_rows
        if batch is None:
            return


def _without_views(schema: pa.Schema) -> pa.Schema:
    """``schema`` without the types of views, whose rows Arrow can't choose from."""
    return pa.schema([field.with_type(_without_view(field.type)) for field in schema])


def _without_view(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_list(kind):
        one = kind.value_field
        return pa.list_(one.with_type(_without_view(one.type)))
    if pa.types.is_large_list(kind):
        one = kind.value_field
        return pa.large_list(one.with_type(_without_view(one.type)))
    if pa.types.is_struct(kind):
        return pa.struct([one.with_type(_without_view(one.type)) for one in kind])
    return kind


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _check_types(table: pa.Table) -> None:
    """Raise ``UnusableManifest`` for a column whose rows can't be chosen from for the results."""
    one = table.slice(0, 1)
    for name in one.column_names:
        try:
            one.column(name).filter(pa.array([True]))
        except pa.ArrowNotImplementedError:
            raise UnusableManifest(
                f"The column `{name[:64]}` has a type that can't be carried to the results: leave "
                "it out, or store it as text."
            ) from None


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
