"""Manifests in CSV, UTF-8 with commas, as spreadsheets write them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

from serve_app.bulk.manifest.reading import CHUNK_ROWS, Chunk, Reading, check_columns, grouped
from serve_app.bulk.manifest.text_file import as_text, decoding
from serve_app.errors import InvalidRequest, UnusableManifest

# What a spreadsheet would take for a formula, and run, when it opens the results.
_FORMULA = re.compile(r"\s*(?:[=@]|[+-].*[(|!])", re.DOTALL)
_MARKS = ("=", "@", "+", "-")


def read_csv(file: BinaryIO) -> Reading:
    """Read ``file``, whose first line has the names of the columns; empty cells are no value.

    Raises ``UnusableManifest`` if a column is missing or there twice; chunks do so too, and
    where the file is no CSV from some line on.
    """
    reader = csv.reader(as_text(file, newline=""), strict=True)
    header = next(_rows(reader), [])
    if any(_is_formula(name) for name in header):
        raise UnusableManifest("A column's name begins like a formula of a spreadsheet: rename it.")
    if len(header) == 1 and re.search("[;\t]", header[0]):
        raise UnusableManifest("The columns of the manifest must be separated by commas.")
    check_columns(header)
    schema = pa.schema([(name, pa.string()) for name in header])
    return Reading(schema, _chunks(reader, schema), typed=False, has_ids="id" in header)


def _chunks(reader: Any, schema: pa.Schema) -> Iterator[Chunk]:
    names, width = schema.names, len(schema.names)
    for some in grouped(_rows(reader), _characters, CHUNK_ROWS):
        faults = {i: fault for i, row in enumerate(some) if (fault := _fault(row, names))}
        cells = [_fitted(row, width) for row in some]
        columns = [pa.array(column, pa.string()) for column in zip(*cells, strict=True)]
        values = [dict(zip(names, row, strict=True)) for row in cells]
        yield Chunk(values, faults, pa.table(columns, schema=schema))


def _rows(reader: Any) -> Iterator[list[str]]:
    """Rows that have cells."""
    with decoding():
        while True:
            # Where the row begins: after a quotation mark that is not closed it ends anywhere.
            line = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error:
                raise UnusableManifest(
                    f"The manifest is no CSV from line {line} on: is a quotation mark missing, or "
                    f"has a cell more than {csv.field_size_limit()} characters?"
                ) from None
            if row is None:
                return
            if row:
                yield row


def _characters(row: list[str]) -> int:
    return sum(map(len, row))


def _fitted(row: list[str], width: int) -> list[str | None]:
    cells: list[str | None] = [cell or None for cell in row[:width]]
    return cells + [None] * (width - len(cells))


def _fault(row: Sequence[str], names: Sequence[str]) -> InvalidRequest | None:
    if len(row) > len(names):
        return UnusableManifest(
            f"The row has {len(row)} cells, but there are {len(names)} columns: put a cell with a "
            "comma in quotation marks."
        )
    for name, cell in zip(names, row, strict=False):
        if _is_formula(cell):
            return InvalidRequest(
                f"`{name}` must not begin like a formula, which a spreadsheet would run when it "
                "opens the results.",
                name,
            )
    return None


def _is_formula(cell: str) -> bool:
    # Nearly no cell begins so: the pattern is for those that do.
    return cell.lstrip().startswith(_MARKS) and _FORMULA.match(cell) is not None
