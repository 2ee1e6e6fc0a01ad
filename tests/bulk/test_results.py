"""The table of results: every input column beside what came of the row, whatever there is."""

from __future__ import annotations

import io
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.bulk.input_columns import shown_names
from serve_app.bulk.record import CHECKS, RowRecord, Status
from serve_app.bulk.results import RESULTS, write_results
from serve_app.errors import RunRefused
from serve_app.storage.byte_store import ByteStore
from tests.storage.virtual_time import files_below

from .finished import ledger_of, put_part

NO_RECORDS = ledger_of([])


@pytest.fixture(params=["folder", "url"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ByteStore:
    return ByteStore(str(tmp_path) if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def results_of(store: ByteStore) -> pa.Table:
    return pq.read_table(io.BytesIO(store.get(RESULTS) or b""))


def ended(row: int, **facts: Any) -> RowRecord:
    return RowRecord(row, f"id-{row}", **({"status": Status.SUCCEEDED, "ended_at": 1e9} | facts))


FULL = ended(
    1,
    ended_at=1800000000.5,
    verdict="fail",
    reasons=("too much", "too little"),
    checks={"ssim": 0.5, "finite": 1.0},
    edit_type="text",
    seed=7,
    true_cfg_scale=4.0,
    num_inference_steps=75,
    attempts=2,
    forwards=300,
    seconds=1.25,
    cache="miss",
    width=64,
    height=32,
    image="images/3f/a.png",
    record="records/3f/a.json",
    model="miniature",
    model_revision="abc",
)


def test_a_row_has_its_inputs_and_all_that_came_of_it(store: ByteStore) -> None:
    put_part(store, 0, [1], {"id": ["id-1"], "prompt": ["make it blue"], "sku": [17]})
    assert write_results(store, ledger_of([FULL])) == 1
    (row,) = results_of(store).to_pylist()
    assert {name: value for name, value in row.items() if value is not None} == {
        "row": 1,
        "id": "id-1",
        "prompt": "make it blue",
        "sku": 17,
        "status": "succeeded",
        "verdict": "fail",
        "reasons": ["too much", "too little"],
        "edit_type": "text",
        "seed": 7,
        "true_cfg_scale": 4.0,
        "num_inference_steps": 75,
        "attempts": 2,
        "seconds": 1.25,
        "cache": "miss",
        "output_width": 64,
        "output_height": 32,
        "output_image": "images/3f/a.png",
        "output_record": "records/3f/a.json",
        "model": "miniature",
        "model_revision": "abc",
        "ended_at": datetime(2027, 1, 15, 8, 0, 0, 500_000, tzinfo=UTC),
        "check_ssim": 0.5,
        "check_finite": 1.0,
    }
    assert [name for name in row if name.startswith("check_")] == [f"check_{n}" for n in CHECKS]


def test_rows_that_have_not_ended_are_left_out(store: ByteStore) -> None:
    put_part(store, 0, [1, 2, 3], refused={2: ("image_not_found", "There is no such image.")})
    put_part(store, 1, [4, 5, 6])
    assert write_results(store, ledger_of([ended(5), ended(3)])) == 3
    table = results_of(store)
    assert table["row"].to_pylist() == [2, 3, 5]
    assert table["status"].to_pylist() == ["failed", "succeeded", "succeeded"]
    assert table["error_code"].to_pylist() == ["image_not_found", None, None]
    assert table["error_message"].to_pylist() == ["There is no such image.", None, None]


def test_a_part_is_a_row_group_and_one_without_rows_is_none(store: ByteStore) -> None:
    for number in range(3):
        put_part(store, number, [2 * number + 1, 2 * number + 2])
    write_results(store, ledger_of([ended(1), ended(2), ended(6)]))
    metadata = pq.read_metadata(io.BytesIO(store.get(RESULTS) or b""))
    assert [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)] == [2, 1]


def test_a_run_that_has_just_begun_has_an_empty_table(store: ByteStore) -> None:
    put_part(store, 0, [1, 2], {"sku": [1, 2]})
    assert write_results(store, NO_RECORDS) == 0
    table = results_of(store)
    assert table.num_rows == 0
    assert table.column_names[:3] == ["row", "id", "sku"]


def test_writing_again_replaces_the_table(store: ByteStore) -> None:
    put_part(store, 0, [1, 2])
    write_results(store, ledger_of([ended(1)]))
    write_results(store, ledger_of([ended(1), ended(2)]))
    assert results_of(store)["row"].to_pylist() == [1, 2]


def test_input_columns_make_room_for_those_of_the_results(store: ByteStore) -> None:
    inputs = {
        "seed": [5],
        "row": ["left"],
        "status": ["new"],
        "input_status": ["user's own"],
        "check_ssim": [0.25],
        "images": ["mine"],
    }
    put_part(store, 0, [1], inputs)
    write_results(store, ledger_of([FULL]))
    (row,) = results_of(store).to_pylist()
    assert (row["seed"], row["input_seed"]) == (7, 5)
    assert (row["row"], row["input_row"]) == (1, "left")
    assert (row["status"], row["input_input_status"], row["input_status"]) == (
        "succeeded",
        "new",
        "user's own",
    )
    assert (row["check_ssim"], row["input_check_ssim"]) == (0.5, 0.25)
    assert row["images"] == "mine"


NAMES = st.sampled_from(["a", "input_a", "input_input_a", "b", "input_b", "c"])


@given(names=st.lists(NAMES, unique=True), taken=st.sets(NAMES))
def test_no_two_columns_are_shown_as_one(names: list[str], taken: set[str]) -> None:
    shown = shown_names(names, taken)
    assert list(shown) == names
    assert len(set(shown.values())) == len(names)
    assert taken.isdisjoint(shown.values())
    assert all(shown[name] == name for name in names if name not in taken)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([2**62 + 1, None]),
        pa.array([None, None]),
        pa.array([{"a": 1, "b": [None, "x"]}, None]),
        pa.array(["red", "blue"]).dictionary_encode(),
        pa.array([1, 2], pa.timestamp("us", "Asia/Seoul")),
    ],
    ids=lambda values: str(values.type),
)
def test_input_columns_keep_their_types(store: ByteStore, values: pa.Array) -> None:
    # One name is the beginning of the other, as that of a struct is of its fields'.
    for number in range(2):
        row = 1 + number
        put_part(store, number, [row], {"x": values[number:row], "x.a": pa.array([7 * row])})
    write_results(store, ledger_of([ended(1), ended(2)]))
    table = results_of(store)
    assert table["x"].type == values.type
    assert table["x"].to_pylist() == values.to_pylist()
    assert table["x.a"].to_pylist() == [7, 14]


@pytest.mark.parametrize("part", [0, 1])
def test_damaged_rows_are_told_by_their_file(store: ByteStore, part: int) -> None:
    put_part(store, 0, [1])
    put_part(store, 1, [2])
    write_results(store, ledger_of([ended(1)]))
    before = store.get(RESULTS)
    name = f"rows/0000{part}.parquet"
    store.put(name, (store.get(name) or b"")[:100])
    with pytest.raises(RunRefused, match=name):
        write_results(store, ledger_of([ended(1), ended(2)]))
    assert store.get(RESULTS) == before


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    data=st.data(),
)
def test_exactly_what_has_ended_is_there_in_order(sizes: list[int], data: st.DataObject) -> None:
    rows = range(1, sum(sizes) + 1)
    done = data.draw(st.sets(st.sampled_from(rows)))
    refused = data.draw(st.sets(st.sampled_from(rows))) - done
    with tempfile.TemporaryDirectory() as folder:
        store = ByteStore(folder)
        begin = 0
        for number, size in enumerate(sizes):
            part = rows[begin : begin + size]
            faults = {row: ("code", f"fault {row}") for row in refused}
            put_part(store, number, part, {"own": [10 * r for r in part]}, refused=faults)
            begin += size
        records = [ended(row, seconds=float(row)) for row in done]
        assert write_results(store, ledger_of(records)) == len(done | refused)
        table = results_of(store)
    assert table["row"].to_pylist() == sorted(done | refused)
    assert table["own"].to_pylist() == [10 * row for row in sorted(done | refused)]
    expected = [float(row) if row in done else None for row in sorted(done | refused)]
    assert table["seconds"].to_pylist() == expected


def test_if_writing_fails_the_old_table_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ByteStore(str(tmp_path))
    put_part(store, 0, [1])
    put_part(store, 1, [2])
    write_results(store, ledger_of([ended(1)]))
    before = store.get(RESULTS)
    real = store.get

    def interrupted(name: str) -> bytes | None:
        if name == "rows/00001.parquet" and store.exists("stop"):
            raise KeyboardInterrupt
        return real(name)

    monkeypatch.setattr(store, "get", interrupted)
    store.put("stop", b"")
    with pytest.raises(KeyboardInterrupt):
        write_results(store, ledger_of([ended(1), ended(2)]))
    assert real(RESULTS) == before
    parts = {"rows/00000.parquet", "rows/00001.parquet"}
    assert set(files_below(tmp_path)) == parts | {RESULTS, "stop"}
