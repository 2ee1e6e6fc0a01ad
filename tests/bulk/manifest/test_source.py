"""Manifests as a whole: their kinds, their digests, and those that can't be used."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.bulk.manifest import json_lines
from serve_app.bulk.manifest.check import check_manifest
from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.manifest.source import Source, digest_of
from serve_app.config import LimitsConfig
from serve_app.errors import UnusableManifest

from .checking import FORMATS, check, checked, encoded, rows

ROW = {"id": "a", "image": "a.png", "prompt": "make it red"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("m.parquet", "parquet"), ("m.PQ", "parquet"), ("m.jsonl", "jsonl"), ("m.ndjson", "jsonl"),
     ("m.json", "jsonl"), ("m.csv", "csv")],
)  # fmt: skip
def test_kinds_by_suffix(tmp_path: Path, name: str, kind: str) -> None:
    manifest = checked(tmp_path, name, encoded(kind, [ROW]))
    assert manifest.kind == kind
    assert manifest.rows == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_from_an_object_store(kind: str) -> None:
    place = f"memory://{uuid.uuid4().hex}"
    data = encoded(kind, [ROW])
    fsspec.filesystem("memory").pipe(f"{place}/m.{kind}", data)
    source = Source(f"{place}/m.{kind}")
    manifest = check(source, place)
    assert manifest.digest == digest_of(source) == hashlib.sha256(data).hexdigest()
    (row,) = rows(manifest)
    assert row["images"] == ["a.png"]
    assert manifest.missing == 0


@pytest.mark.parametrize("kind", FORMATS)
def test_another_manifest_has_another_digest(tmp_path: Path, kind: str) -> None:
    one = checked(tmp_path, f"m.{kind}", encoded(kind, [ROW]))
    assert digest_of(Source(str(tmp_path / f"m.{kind}"))) == one.digest
    two = checked(tmp_path, f"m.{kind}", encoded(kind, [ROW | {"prompt": "make it blue"}]))
    assert one.digest != two.digest


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("m.txt", b"x", "must be a folder of images or a file"),
        ("m.csv.gz", b"x", "must be a folder of images or a file"),
        ("m", b"x", "must be a folder of images or a file"),
        ("m.csv", b"", "empty"),
        ("m.csv", b"\xef\xbb\xbf", "no column `image` and `prompt`"),
        ("m.csv", b"image,prompt\n", "no rows"),
        ("m.csv", b"id,prompt\n1,x\n", "no column `image`"),
        ("m.csv", b"image;prompt\na.png;x\n", "separated by commas"),
        ("m.csv", b"image,prompt,image\n", "two columns with the name `image`"),
        ("m.csv", b"image,prompt,=cmd\n", "column's name"),
        ("m.csv", b"image,prompt\na.png,\xff\n", "UTF-8"),
        ("m.csv", b'image,prompt\na.png,x\na.png,"x\nb,y\n\nc,z\n', "from line 3 on"),
        ("m.csv", b'image,"prompt\n\n', "from line 1 on"),
        ("m.csv", b'image,prompt\r\n"a\r\nb",x\r\n\r\na.png,"x\r\n', "from line 5 on"),
        ("m.csv", b'image,prompt\na.png,"x"y\n', "from line 2"),
        ("m.csv", b"image,prompt\na.png," + b"x" * 200_000, "131072 characters"),
        ("m.csv", (",".join(map(str, range(1001))) + ",image,prompt\n").encode(), "1000 columns"),
        ("m.jsonl", b"", "empty"),
        ("m.jsonl", b'{"prompt": "x"}\n{"prompt": "y"}\n{', "no column `image`"),
        ("m.jsonl", b"{}", "no column `image` and `prompt`"),
        ("m.jsonl", b"\n  \n", "no rows"),
        ("m.jsonl", '{"image": "é"}'.encode("latin-1"), "UTF-8"),
        ("m.jsonl", '{"image": "a.png"}\n'.encode("utf-16"), "UTF-8"),
        ("m.parquet", b"", "empty"),
        ("m.parquet", b"PAR1 nothing PAR1", "Parquet"),
        ("m.parquet", encoded("parquet", [ROW])[:-9], "Parquet"),
        ("m.parquet", encoded("parquet", [{"image": "a.png"}]), "no column `prompt`"),
        ("m.parquet", encoded("parquet", [{"a": 1}]), "no column `image` and `prompt`"),
    ],
)  # fmt: skip
def test_unusable_manifests(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(UnusableManifest, match=message):
        checked(tmp_path, name, data)


def test_a_parquet_file_with_a_header_only(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"image": pa.array([], pa.string()), "prompt": pa.array([], pa.string())}),
        tmp_path / "m.parquet",
    )
    with pytest.raises(UnusableManifest, match="no rows"):
        check(Source(str(tmp_path / "m.parquet")), tmp_path)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("control", ["\x1b", "\n", "\x7f", "\x85", "\u2028"])
def test_names_with_control_characters(tmp_path: Path, kind: str, control: str) -> None:
    for row in ({f"a{control}b": "x"} | ROW, ROW | {f"{control}": "x"}):
        with pytest.raises(UnusableManifest, match="has control characters") as caught:
            checked(tmp_path, f"m.{kind}", encoded(kind, [ROW | row]))
        assert control not in caught.value.message


def test_parquet_of_a_type_that_cannot_be_carried(tmp_path: Path) -> None:
    views = pa.array([[("a", "x")]], pa.map_(pa.string(), pa.string_view()))
    pq.write_table(pa.table({"image": ["a"], "prompt": ["x"], "odd": views}), tmp_path / "m.pq")
    with pytest.raises(UnusableManifest, match="column `odd` has a type that can't be carried"):
        check(Source(str(tmp_path / "m.pq")), tmp_path)


def test_a_json_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_LINE", 50)
    with pytest.raises(UnusableManifest, match="more than 50 characters"):
        checked(tmp_path, "m.json", b'{"image": "' + b"a" * 60 + b'"}')


def test_too_many_fields(tmp_path: Path) -> None:
    rows = [{f"field {i}": 1} for i in range(1001)]
    with pytest.raises(UnusableManifest, match="1000 columns"):
        checked(tmp_path, "m.jsonl", encoded("jsonl", rows))


@pytest.mark.parametrize(
    ("place", "prompts", "message"),
    [
        ("missing.csv", (), "not there"),
        ("memory://missing/m.csv", (), "not there"),
        ("nothing://m.csv", (), "storage that is installed"),
        ("http://127.0.0.1/m.csv", (), "must be a path, or a URL of object storage"),
        ("zip://m.csv::m.zip", (), "must be a path, or a URL of object storage"),
        ("m.jsonl", ("make it red",), "folder of images alone"),
        ("images", (), "at least one prompt"),
        ("images", ("make it red",), "no PNG, JPEG or WebP"),
        ("images", ("make it red", " "), "`prompt` must not be empty"),
        ("pipe.csv", (), "neither a file nor a folder"),
    ],
)
def test_unusable_sources(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    prompts: tuple[str, ...],
    message: str,
) -> None:
    (tmp_path / "m.jsonl").write_bytes(encoded("jsonl", [ROW]))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "text.txt").write_text("x")
    os.mkfifo(tmp_path / "pipe.csv")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnusableManifest, match=message) as caught:
        check(Source(place, prompts), tmp_path)
    assert str(tmp_path) not in caught.value.message


def test_a_manifest_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(encoded("csv", [ROW]))

    def change(_: int) -> None:
        with path.open("ab") as file:
            file.write(b"b,b.png,more\r\n")

    with pytest.raises(UnusableManifest, match="changed while it was read"):
        check_manifest(Source(str(path)), InputRoot(str(tmp_path)), LimitsConfig(), 1, change)
