"""Any manifest: what is good comes out as it was written, and what is bad is named."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.bulk.manifest import csv_file, json_lines, parquet

from .checking import FORMATS, checked, encoded, messages, parts, rows

# Letters that no format and no spreadsheet sees anything in.
TEXT = st.text("abc äé한 漢,\"'\n", min_size=1, max_size=12).filter(str.strip)
SEGMENT = st.text("ab한 1", min_size=1, max_size=4).filter(str.strip)
PLACE = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)

GOOD = st.fixed_dictionaries(
    {
        "image": PLACE,
        "prompt": TEXT,
        "mask": st.none() | PLACE,
        "seed": st.none() | st.integers(0, 2**63 - 1),
        "true_cfg_scale": st.none() | st.floats(1, 20),
        "edit_type": st.sampled_from([None, "auto", "text", "semantic"]),
        "note": st.none() | TEXT,
        "number": st.none() | st.integers(-(2**53), 2**53),
    }
)

BAD = st.sampled_from(
    [
        ("image", None), ("image", "../outside/secret.png"), ("image", "/etc/passwd"),
        ("image", "out/secret.png"), ("image", "file:///etc/passwd"), ("image", "~/x"),
        ("image", "out.png"), ("mask", "out/x.png"), ("mask", "s3://bucket/x.png"),
        ("prompt", None), ("prompt", "x" * 4001), ("seed", -1), ("true_cfg_scale", 0.5),
        ("edit_type", "paint"),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Written:
    """Rows, and which field of some is wrong."""

    rows: list[dict[str, Any]]
    wrong: dict[int, str]


@st.composite
def manifests(draw: st.DrawFn) -> Written:
    written: list[dict[str, Any]] = []
    wrong: dict[int, str] = {}
    for number in range(1, draw(st.integers(1, 12)) + 1):
        row = {"id": f"row {number}"} | draw(GOOD)
        match draw(st.sampled_from(["good", "good", "good", "bad", "twice"])):
            case "bad":
                name, value = draw(BAD)
                row[name] = value
                wrong[number] = name
            case "twice" if number > 1:
                row["id"] = draw(st.sampled_from(written))["id"]
                wrong[number] = "id"
        written.append(row)
    return Written(written, wrong)


_listened: list[list[str]] = []


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if _listened and event in ("open", "os.listdir", "os.scandir"):
        _listened[-1].append(str(arguments[0]))


# Hooks can't be taken out again: one for all tests, which is deaf between them.
sys.addaudithook(_listen)


@contextmanager
def touched() -> Iterator[list[str]]:
    """Paths that are opened or listed meanwhile."""
    _listened.append([])
    try:
        yield _listened[-1]
    finally:
        _listened.pop()


@pytest.mark.parametrize("kind", FORMATS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(manifest=manifests(), chunk_rows=st.integers(1, 5))
def test_any_manifest(kind: str, manifest: Written, chunk_rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder_name:
        base = Path(folder_name)
        root, outside = base / "root", base / "outside"
        root.mkdir()
        outside.mkdir()
        (outside / "secret.png").write_bytes(b"secret")
        (root / "out").symlink_to(outside, target_is_directory=True)
        (root / "out.png").symlink_to(outside / "secret.png")
        data = encoded(kind, manifest.rows)
        with sized(chunk_rows), touched() as paths:
            found = checked(base, f"m.{kind}", data, root=root)
        assert any(path.startswith(str(base)) for path in paths)
        below = [path.removeprefix(str(base)) for path in paths]
        assert [path for path in below if "/out" in path or "passwd" in path] == []
    assert found.rows == len(manifest.rows)
    assert parts(found)["row"].to_pylist() == list(range(1, found.rows + 1))
    assert all(0 < len(rows_of(part)) <= chunk_rows for part in found.parts)
    assert {n: message.split("`")[1] for n, message in messages(found).items()} == manifest.wrong
    assert found.faults.count == len(manifest.wrong)
    assert [fault.number for fault in found.faults.first] == sorted(manifest.wrong)
    for number, (row, out) in enumerate(zip(manifest.rows, rows(found), strict=True), start=1):
        assert out["id"] == row["id"]
        for name, value in row.items():
            # CSV has texts, and no value where a cell is empty.
            as_text = None if value is None else str(value)
            assert out[f"input.{name}"] == (as_text if kind == "csv" else value)
        if number not in manifest.wrong:
            assert out["images"] == [row["image"]]
            assert out["mask"] == row["mask"]
            assert out["asked"] == asked(row)


def asked(row: dict[str, Any]) -> dict[str, Any]:
    names = ("seed", "true_cfg_scale", "edit_type")
    given = {name: row[name] for name in names if row[name] is not None}
    return {"prompt": row["prompt"].strip()} | given


def rows_of(part: bytes) -> list[Any]:
    listed: list[Any] = pq.read_table(pa.BufferReader(part))["row"].to_pylist()
    return listed


@contextmanager
def sized(chunk_rows: int) -> Iterator[None]:
    """Chunks of so many rows."""
    with (
        patch.object(csv_file, "CHUNK_ROWS", chunk_rows),
        patch.object(json_lines, "CHUNK_ROWS", chunk_rows),
        patch.object(parquet, "CHUNK_ROWS", chunk_rows),
    ):
        yield
