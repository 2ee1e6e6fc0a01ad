"""Manifests on disk, and what checking them gives."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serve_app.bulk.manifest.check import CheckedManifest, check_manifest
from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.manifest.source import Source
from serve_app.config import LimitsConfig

FORMATS = ("parquet", "jsonl", "csv")


def encoded(kind: str, rows: list[dict[str, Any]]) -> bytes:
    """``rows`` in a format; CSV has JSON where a cell is a list or an object."""
    if kind == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), sink)
        return sink.getvalue()
    if kind == "jsonl":
        return "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    text = io.StringIO(newline="")
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for row in rows:
        cells = {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in row.items()}
        writer.writerow(cells)
    return text.getvalue().encode()


def checked(
    folder: Path, name: str, data: bytes, *, root: Path | None = None, max_images: int = 3
) -> CheckedManifest:
    """Check the manifest ``data``, written to ``folder`` under ``name``."""
    (folder / name).write_bytes(data)
    return check(Source(str(folder / name)), root or folder, max_images=max_images)


def check(source: Source, root: Path | str, *, max_images: int = 3) -> CheckedManifest:
    return check_manifest(source, InputRoot(str(root)), LimitsConfig(), max_images)


def parts(manifest: CheckedManifest) -> pa.Table:
    """All rows."""
    return pa.concat_tables([pq.read_table(io.BytesIO(part)) for part in manifest.parts])


def rows(manifest: CheckedManifest) -> list[dict[str, Any]]:
    """All rows, with ``asked`` as what it says."""
    found: list[dict[str, Any]] = parts(manifest).to_pylist()
    for row in found:
        row["asked"] = None if row["asked"] is None else json.loads(row["asked"])
    return found


def messages(manifest: CheckedManifest) -> dict[int, str]:
    """What is wrong, by the rows' numbers."""
    return {r["row"]: r["error_message"] for r in rows(manifest) if r["error_code"] is not None}
