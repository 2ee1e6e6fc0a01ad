"""What each format may hold, and how it comes out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.bulk.manifest import reading
from serve_app.bulk.manifest.check import check_manifest
from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.manifest.source import Source
from serve_app.config import LimitsConfig

from .checking import check, checked, encoded, messages, parts, rows

GOOD = {"image": "a.png", "prompt": "make it red"}


def test_lines_that_cannot_be_read(tmp_path: Path) -> None:
    good = json.dumps(GOOD)
    lines = [
        "\ufeff" + good, "{", "", "[1]", "  ", "5", '{"image": "a.png", "prompt": NaN}', good,
        '{"image": "a.png", "prompt": "x", "more": 1e999}', good + good,
        '{"image": "a.png", "image": "b.png", "prompt": "x"}', "[" * 100_000,
        '{"image": "a.png", "prompt": "x", "more": ["\\ud83d"]}',
        '{"image": "a.png", "prompt": "\\ud83d\\ude00"}\r', '{"a": {"b": 1, "b": 2}}',
        "{}", "9" * 5000,
    ]  # fmt: skip
    manifest = checked(tmp_path, "m.jsonl", "\n".join(lines).encode())
    found = messages(manifest)
    assert manifest.rows == 15
    assert [row["row"] for row in rows(manifest) if row["error_code"] is None] == [1, 6, 12]
    assert found[2].startswith("The line must be valid JSON")
    assert found[3] == found[4] == "The line must be a JSON object."
    assert found[9] == "`image` must be there once."
    assert "surrogates" in found[11]
    assert found[14] == "`image` is required."
    assert {fault.code for fault in manifest.faults.first} == {"unusable_manifest", "missing_field"}
    ids = [row["id"] for row in rows(manifest)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("field", ["more", "image", "prompt", "lora", "mask_box", "id"])
def test_json_nested_too_deep(tmp_path: Path, field: str) -> None:
    good = json.dumps(GOOD)
    lines = [good]
    for depth in (100, *range(980, 1001), 100_000):  # and the line's own object
        for nest in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
            lines.append(f'{{"image": "a.png", "prompt": "x", "{field}": {nest}}}')
    manifest = checked(tmp_path, "m.jsonl", "\n".join([*lines, good]).encode())
    found = messages(manifest)
    assert list(found) == list(range(2, len(lines) + 1))
    assert all("at most 100 arrays and objects" in message for message in found.values())


def test_json_nested_deep_enough(tmp_path: Path) -> None:
    deep = "[" * 99 + '"[[[\\"{"' + "]" * 99
    flat = json.dumps([{}] * 150 + ["[{" * 200])
    lines = [f'{{"image": "a.png", "prompt": "x", "more": {more}}}' for more in (deep, flat)]
    manifest = checked(tmp_path, "m.jsonl", "\n".join(lines).encode())
    assert manifest.faults.count == 0
    assert [json.loads(row["input.more"]) for row in rows(manifest)] == [
        json.loads(deep), json.loads(flat)
    ]  # fmt: skip


@pytest.mark.parametrize("column", ["image", "lora", "mask_box", "seed", "id", "note"])
def test_cells_nested_deep(tmp_path: Path, column: str) -> None:
    for depth in (*range(980, 1001), 20_000):
        for cell in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
            lines = [{"id": "1", "note": "x"} | GOOD, {"id": "2", "note": "x"} | GOOD]
            lines[1][column] = cell
            manifest = checked(tmp_path, "m.csv", encoded("csv", lines))
            assert rows(manifest)[0]["error_code"] is None


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_chunks_of_much_text(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK_CHARACTERS", 1000)
    lines = [GOOD | {"note": "x" * size} for size in (400, 400, 400, 5000, 1, 1, 990)]
    manifest = checked(tmp_path, f"m.{kind}", encoded(kind, lines))
    sizes = [pq.read_table(pa.BufferReader(part)).num_rows for part in manifest.parts]
    assert sizes == [3, 1, 3]
    assert parts(manifest)["row"].to_pylist() == [1, 2, 3, 4, 5, 6, 7]


def test_fields_of_json_keep_their_types_or_become_text(tmp_path: Path) -> None:
    lines = [
        {"text": "a", "number": 1, "mixed": 1, "flag": True, "list": [1], "object": {"b": [None]}},
        {"text": None, "number": 2.5, "mixed": "one", "list": [], "holes": [1, None]},
        {"number": 3, "mixed": 0.5, "huge": 2**64, "list": [2, 3], "late": "é"},
    ]
    found = rows(checked(tmp_path, "m.jsonl", encoded("jsonl", [GOOD | line for line in lines])))
    expected = {
        "text": ["a", None, None],
        "number": [1.0, 2.5, 3.0],
        "mixed": ["1", "one", "0.5"],
        "flag": [True, None, None],
        "list": [[1], [], [2, 3]],
        "object": ['{"b": [null]}', None, None],
        "holes": [None, "[1, null]", None],
        "huge": [None, None, str(2**64)],
        "late": [None, None, "é"],
    }
    assert {name: [row[f"input.{name}"] for row in found] for name in expected} == expected


def test_all_parts_have_one_schema(tmp_path: Path) -> None:
    lines = [GOOD | {"more": i} for i in range(10_000)] + [GOOD | {"more": "x", "other": 1}]
    manifest = checked(tmp_path, "m.jsonl", encoded("jsonl", lines))
    one, two = (pq.read_table(pa.BufferReader(part)) for part in manifest.parts)
    assert one.schema == two.schema
    assert (one.num_rows, two.num_rows) == (10_000, 1)
    assert two["row"].to_pylist() == [10_001]
    assert one["input.more"][5].as_py() == "5"


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "@SUM(A1)",
        "+cmd|' /C calc'!A0",
        "-2+3(4)",
        " \t=1",
        "\n=1",
        "-a!b",
        '=HYPERLINK("x")',
    ],
)
@pytest.mark.parametrize("column", ["id", "prompt", "note"])
def test_formulas_in_csv(tmp_path: Path, cell: str, column: str) -> None:
    lines = [{"id": str(i), "note": "x"} | GOOD for i in range(3)]
    lines[1][column] = cell
    found = messages(checked(tmp_path, "m.csv", encoded("csv", lines)))
    assert list(found) == [2]
    assert found[2].startswith(f"`{column}` must not begin like a formula")


@pytest.mark.parametrize("cell", ["-3.5", "+5", "- red", "a=b", "1-2(3)", "+49 30 1234", "me@x"])
def test_what_is_no_formula(tmp_path: Path, cell: str) -> None:
    (row,) = rows(checked(tmp_path, "m.csv", encoded("csv", [GOOD | {"note": cell}])))
    assert (row["error_message"], row["input.note"]) == (None, cell)


def test_cells_of_csv(tmp_path: Path) -> None:
    text = (
        "\ufeffimage,prompt,seed,note\r\n"
        'a.png,"one, ""two""\nthree",5,\r\n'
        "\r\n"
        "b.png,x\r\n"
        "c.png,x,random,y,z\r\n"
        "[d.png,x,007,\r\n"
        '"[""e.png"", ""f.png""]",x,,\r\n'
        "[g],x,,\r\n"
        "h.png,x,1e3,\r\n"
    )
    found = rows(checked(tmp_path, "m.csv", text.encode()))
    assert [row["images"] for row in found] == [
        ["a.png"], ["b.png"], [], ["[d.png"], ["e.png", "f.png"], [], []
    ]  # fmt: skip
    assert found[0]["asked"] == {"prompt": 'one, "two"\nthree', "seed": 5}
    assert found[0]["input.note"] is None
    assert found[1]["asked"] == {"prompt": "x"}
    assert found[2]["error_message"].startswith("The row has 5 cells, but there are 4 columns")
    assert found[3]["asked"]["seed"] == 7
    assert found[5]["error_message"].startswith("`image` must be a place, or a JSON array")
    assert found[6]["error_message"].startswith("`seed` must be a whole number")


def test_parquet_of_pandas(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": [1.0, 2.0, 3.0],
            "image": pd.Categorical(["a.png", "b.png", "a.png"]),
            "prompt": ["x", "y", None],
            "seed": [5.0, float("nan"), 2.0],
            "num_inference_steps": [50.0, float("nan"), 20.5],
            "true_cfg_scale": [float("nan"), 4.0, 4.0],
            "mask_box": [[1.0, 2.0, 3.0, 4.0], None, None],
            "lora": [{"name": "style", "scale": None}, None, {"name": "style", "scale": 2.0}],
        },
        index=pd.Index([7, 8, 9], name="row"),
    )
    frame.to_parquet(tmp_path / "m.parquet")
    found = rows(check(Source(str(tmp_path / "m.parquet")), tmp_path))
    assert [row["id"] for row in found] == ["1", "2", "3"]
    assert found[0]["asked"] == {
        "prompt": "x", "seed": 5, "num_inference_steps": 50, "mask_box": [1, 2, 3, 4],
        "lora": {"name": "style", "scale": 1.0},
    }  # fmt: skip
    assert found[1]["asked"] == {"prompt": "y", "true_cfg_scale": 4.0}
    assert found[2]["error_message"] == "`prompt` is required."
    assert [row["input.row"] for row in found] == [7, 8, 9]


def test_carried_columns_keep_their_types(tmp_path: Path) -> None:
    carried = {
        "at": pa.array([datetime(2026, 1, 2, tzinfo=UTC)] * 2, pa.timestamp("ns", tz="Asia/Seoul")),
        "price": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
        "tags": pa.array([["a", None], []], pa.list_(pa.string())),
        "both": pa.array([{"w": 1, "h": None}, None], pa.struct({"w": pa.int8(), "h": pa.int16()})),
        "data": pa.array([b"\xff", None], pa.binary()),
        "kind": pa.array(["x", "y"]).dictionary_encode(),
        "n": pa.array([1.5, float("nan")], pa.float32()),
    }  # fmt: skip
    table = pa.table(
        {"image": ["a", "b"], "prompt": pa.array(["x", "y"], pa.large_string())} | carried
    )
    pq.write_table(table, tmp_path / "m.parquet", row_group_size=1)
    manifest = check(Source(str(tmp_path / "m.parquet")), tmp_path)
    (part,) = (pq.read_table(pa.BufferReader(one)) for one in manifest.parts)
    assert manifest.faults.count == 0
    for name in table.column_names:
        column = part[f"input.{name}"]
        assert column.type == table[name].type
        assert str(column.to_pylist()) == str(table[name].to_pylist())


def test_views_of_arrow_are_carried_as_text_and_bytes(tmp_path: Path) -> None:
    text, data = pa.string_view(), pa.binary_view()
    table = pa.table(
        {
            "image": pa.array(["a.png", "b.png"], text),
            "prompt": pa.array(["x", "y"], text),
            "text": pa.array(["long enough for a view", None], text),
            "data": pa.array([b"\xff", None], data),
            "texts": pa.array([["a", None], None], pa.list_(text)),
            "large": pa.array([["a", None], None], pa.large_list(text)),
            "object": pa.array(
                [{"a": ["x"], "b": 1}, None], pa.struct({"a": pa.list_(text), "b": "i4"})
            ),
        }
    )
    pq.write_table(table, tmp_path / "m.parquet", row_group_size=1)
    manifest = check(Source(str(tmp_path / "m.parquet")), tmp_path)
    assert [row["images"] for row in rows(manifest)] == [["a.png"], ["b.png"]]
    carried = parts(manifest)
    for name in table.column_names:
        assert carried[f"input.{name}"].to_pylist() == table[name].to_pylist()
    assert carried.filter(pa.array([False, True]))["input.image"].to_pylist() == ["b.png"]
    assert "view" not in str(carried.schema)


def test_small_groups_of_parquet_are_read_together(tmp_path: Path) -> None:
    prompts = [f"prompt {i}" for i in range(25_000)]
    table = pa.table({"image": ["a.png"] * 25_000, "prompt": prompts})
    pq.write_table(table, tmp_path / "m.parquet", row_group_size=777)
    told: list[int] = []
    source = Source(str(tmp_path / "m.parquet"))
    manifest = check_manifest(source, InputRoot(str(tmp_path)), LimitsConfig(), 1, told.append)
    assert told == [10_000, 20_000, 25_000]
    assert [pq.read_table(pa.BufferReader(p)).num_rows for p in manifest.parts] == [
        10_000,
        10_000,
        5_000,
    ]
    assert parts(manifest)["row"].to_pylist() == list(range(1, 25_001))
    assert parts(manifest)["input.prompt"].to_pylist() == prompts
