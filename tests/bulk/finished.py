"""Runs that have ended, as their folders have them, made without running anything."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serve_app.bulk.record import CHECKS, SCHEMA, RowRecord
from serve_app.storage.byte_store import ByteStore

PART = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("images", pa.list_(pa.string())),
        ("mask", pa.string()),
        ("asked", pa.string()),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
    ]
)


def put_part(
    store: ByteStore,
    number: int,
    rows: Sequence[int],
    inputs: Mapping[str, Sequence[Any] | pa.Array] | None = None,
    *,
    ids: Mapping[int, str] | None = None,
    prompts: Mapping[int, str] | None = None,
    images: Mapping[int, str] | None = None,
    refused: Mapping[int, tuple[str, str]] | None = None,
) -> None:
    """Write a part of checked ``rows`` whose manifest had the columns ``inputs``."""
    ids, prompts, images, refused = ids or {}, prompts or {}, images or {}, refused or {}
    lines = [
        {
            "row": row,
            "id": ids.get(row, f"id-{row}"),
            "images": [] if row in refused else [images.get(row, f"{row}.png")],
            "asked": None if row in refused else json.dumps({"prompt": prompts.get(row, "x")}),
            "error_code": refused.get(row, (None, None))[0],
            "error_message": refused.get(row, (None, None))[1],
        }
        for row in rows
    ]
    table = pa.Table.from_pylist(lines, PART)
    for name, values in (inputs or {}).items():
        column = values if isinstance(values, pa.Array) else pa.array(values)
        table = table.append_column(f"input.{name}", column)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    store.put(f"rows/{number:05d}.parquet", buffer.getvalue())


def ledger_of(records: Iterable[RowRecord]) -> pa.Table:
    """``records`` as the ledger gives them."""
    lines = [record.to_json() for record in records]
    blank = dict.fromkeys(CHECKS)
    for line in lines:
        line["checks"] = blank | dict(line["checks"])
    return pa.Table.from_pylist(sorted(lines, key=lambda line: int(line["row"])), SCHEMA)
