"""The table of a bulk run's results: the manifest's columns beside what came of each row."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serve_app.bulk.input_columns import input_columns
from serve_app.bulk.parts import part_names, part_schema, read_part
from serve_app.bulk.record import CHECKS, Status
from serve_app.storage.byte_store import ByteStore

RESULTS = "results.parquet"

_RENAMED = {
    "width": "output_width",
    "height": "output_height",
    "image": "output_image",
    "record": "output_record",
}
_ENDED_AT = pa.timestamp("ms", "UTC")

OUTCOME = pa.schema(
    [
        ("status", pa.string()),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("verdict", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("edit_type", pa.string()),
        ("seed", pa.int64()),
        ("true_cfg_scale", pa.float64()),
        ("num_inference_steps", pa.int64()),
        ("attempts", pa.int64()),
        ("seconds", pa.float64()),
        ("cache", pa.string()),
        ("output_width", pa.int64()),
        ("output_height", pa.int64()),
        ("output_image", pa.string()),
        ("output_record", pa.string()),
        ("model", pa.string()),
        ("model_revision", pa.string()),
        ("ended_at", _ENDED_AT),
        *((f"check_{name}", pa.float64()) for name in CHECKS),
    ]
)
"""What the results have after ``row``, ``id`` and the manifest's own columns."""

_ROW = (pa.field("row", pa.int64(), nullable=False), pa.field("id", pa.string(), nullable=False))
_OWN = ("row", "id", "error_code", "error_message")
_TAKEN = frozenset({"row", "id", *OUTCOME.names})


def write_results(store: ByteStore, records: pa.Table) -> int:
    """Write ``results.parquet`` of all rows that have ended; returns how many they are.

    ``records`` is the ledger (``record.SCHEMA``), sorted by row, one of each. Rows that were
    refused before the run have ended, too. One part is in memory at a time. The table that was
    there is there still if this fails.

    Raises:
        RunRefused: The checked rows are damaged.
        NotReady: Storage is full or away.
    """
    parts = part_names(store)
    inputs = input_columns(part_schema(store, parts[0]), _TAKEN) if parts else {}
    schema = pa.schema([*_ROW, *inputs.values(), *OUTCOME])
    written = 0
    with ExitStack() as stack:
        file: BinaryIO = stack.enter_context(store.writing(RESULTS))
        writer = stack.enter_context(pq.ParquetWriter(file, schema, compression="zstd"))
        for name in parts:
            part = read_part(store, name, [*_OWN, *inputs])
            table = _results(part, records, inputs, schema)
            if table.num_rows:
                writer.write_table(table, row_group_size=table.num_rows)
                written += table.num_rows
    return written


def _results(
    part: pa.Table, records: pa.Table, inputs: Mapping[str, pa.Field], schema: pa.Schema
) -> pa.Table:
    """The rows of ``part`` that have ended, as the results have them."""
    joined = _joined(part, records)
    refused = pc.is_valid(part["error_code"])
    columns = {_RENAMED.get(name, name): joined[name] for name in joined.column_names}
    columns |= {"row": part["row"], "id": part["id"]}
    columns |= {field.name: part[name] for name, field in inputs.items()}
    for name in CHECKS:
        columns[f"check_{name}"] = pc.struct_field(joined["checks"], name)
    columns["status"] = pc.if_else(refused, str(Status.FAILED), joined["status"])
    for name in ("error_code", "error_message"):
        columns[name] = pc.if_else(refused, part[name], joined[name])
    milliseconds = pc.round(pc.multiply(joined["ended_at"], 1000.0))
    columns["ended_at"] = milliseconds.cast(pa.int64()).cast(_ENDED_AT)
    table = pa.table([columns[name] for name in schema.names], schema=schema)
    return table.filter(pc.is_valid(table["status"])).combine_chunks()


def _joined(part: pa.Table, records: pa.Table) -> pa.Table:
    """The records of the rows of ``part``, one for each; nulls where there is none."""
    rows = part["row"].to_numpy()
    if not len(rows):
        return records.slice(0, 0)
    known = records["row"].to_numpy()
    low, high = np.searchsorted(known, [rows.min(), rows.max() + 1])
    near = records.slice(low, high - low).combine_chunks()
    places = np.searchsorted(known[low:high], rows)
    there = np.zeros(len(rows), dtype=bool)
    inside = places < high - low
    there[inside] = known[low:high][places[inside]] == rows[inside]
    return near.take(pa.array(places, mask=~there))
