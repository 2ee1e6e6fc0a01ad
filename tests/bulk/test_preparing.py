"""Before a run: bad rows, other runs and results among the inputs are refused, with why."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serve_app.bulk.manifest.source import Source
from serve_app.bulk.pending import row_numbers
from serve_app.bulk.preparing import InvalidRows, Order, checked, prepare
from serve_app.bulk.run_record import RunRecord
from serve_app.config import (
    Actors,
    BulkConfig,
    EngineConfig,
    ModelConfig,
    PlanningConfig,
    QualityConfig,
    ServiceConfig,
)
from serve_app.errors import NotReady, RunRefused, UnusableManifest
from serve_app.storage.byte_store import ByteStore
from tests.storage.virtual_time import files_below

CONFIG = ServiceConfig(
    planning=PlanningConfig(num_inference_steps=4), bulk=BulkConfig(editors=Actors(number=2))
)
GOOD = {"id": "a", "image": "a.png", "prompt": "make it blue"}
OTHER = {"id": "b", "image": "b.png", "prompt": "make it red"}
BAD = {"id": "c", "image": "../c.png", "prompt": "make it green"}


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """A manifest of two good rows, and a place beside it for what comes out."""
    return written(tmp_path, GOOD, OTHER)


def written(folder: Path, *rows: dict[str, Any], **more: Any) -> Order:
    manifest = folder / "edits.jsonl"
    manifest.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return Order(Source(str(manifest)), str(folder / "out"), **more)


def prepared(order: Order, config: ServiceConfig = CONFIG) -> RunRecord:
    return prepare(ByteStore(order.out), order, config)


# The first time


def test_the_rows_are_there_and_the_run_is_noted(order: Order) -> None:
    told: list[int] = []
    store = ByteStore(order.out)
    record = prepare(store, order, CONFIG, told.append)
    assert (record.manifest.rows, record.manifest.invalid, record.manifest.kind) == (2, 0, "jsonl")
    assert RunRecord.read(store) == record
    assert row_numbers(store).runnable == 2
    assert store.names("") == ["rows/00000.parquet", "run.json"]
    assert told


def test_that_the_run_is_noted_means_that_its_rows_are_there(order: Order) -> None:
    class Full(ByteStore):
        def put(self, name: str, data: bytes) -> None:
            if name.startswith("rows/"):
                raise NotReady("Storage is full.")
            super().put(name, data)

    with pytest.raises(NotReady):
        prepare(Full(order.out), order, CONFIG)
    assert RunRecord.read(ByteStore(order.out)) is None
    prepared(order)


# Rows that can't be run


@pytest.mark.parametrize("rows", [(GOOD, BAD), (BAD, GOOD, OTHER)])
def test_bad_rows_are_refused_by_their_numbers(
    tmp_path: Path, rows: tuple[dict[str, Any], ...]
) -> None:
    order = written(tmp_path, *rows)
    with pytest.raises(InvalidRows, match=r"1 rows can't be run.*--skip-invalid") as refused:
        prepared(order)
    faults = refused.value.faults
    assert (faults.count, faults.by_code) == (1, {"outside_input_root": 1})
    assert (faults.first[0].number, faults.first[0].id) == (rows.index(BAD) + 1, "c")
    assert not (tmp_path / "out").exists()


def test_the_good_rows_are_run_if_that_is_wished(tmp_path: Path) -> None:
    order = written(tmp_path, GOOD, BAD, OTHER, skip_invalid=True)
    record = prepared(order)
    assert (record.manifest.rows, record.manifest.invalid) == (3, 1)
    numbers = row_numbers(ByteStore(order.out))
    assert (numbers.runnable, numbers.refused) == (2, 1)


def test_without_any_good_row_there_is_nothing_to_run(tmp_path: Path) -> None:
    with pytest.raises(InvalidRows):
        prepared(written(tmp_path, BAD, skip_invalid=True))
    assert not (tmp_path / "out").exists()


def test_a_mended_manifest_starts_anew_after_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(InvalidRows):
        prepared(written(tmp_path, GOOD, BAD))
    assert prepared(written(tmp_path, GOOD)).manifest.rows == 1


@pytest.mark.parametrize("name", ["nowhere.csv", "edits.txt"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "edits.txt").write_text("x")
    with pytest.raises(UnusableManifest):
        prepared(Order(Source(str(tmp_path / name)), str(tmp_path / "out")))


# Going on


def test_the_same_goes_on_where_it_was(order: Order, tmp_path: Path) -> None:
    first = prepared(order)
    before = files_below(tmp_path / "out")
    assert prepared(order) == first
    assert files_below(tmp_path / "out") == before


def test_skipped_rows_need_not_be_skipped_twice(tmp_path: Path) -> None:
    order = written(tmp_path, GOOD, BAD, skip_invalid=True)
    assert prepared(order) == prepared(replace(order, skip_invalid=False))


def test_the_same_places_may_be_written_otherwise(
    order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepared(order)
    monkeypatch.chdir(tmp_path)
    again = Order(Source("edits.jsonl"), "out", input_root=".")
    assert prepared(again) == first


@pytest.mark.parametrize(
    "changed",
    [
        CONFIG.model_copy(update={"bulk": BulkConfig(editors=Actors(number=7))}),
        CONFIG.model_copy(update={"engine": EngineConfig(max_batch_size=3)}),
        CONFIG.model_copy(update={"model": ModelConfig(device="cpu")}),
        CONFIG.model_copy(update={"quality": QualityConfig(threads=3)}),
    ],
)
def test_other_machines_go_on(order: Order, changed: ServiceConfig) -> None:
    assert changed != CONFIG
    assert prepared(order) == prepared(order, changed)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"planning": PlanningConfig(num_inference_steps=9)},
            r"`planning.num_inference_steps` was 4, is 9",
        ),
        (
            {"model": ModelConfig(checkpoint="/models/other")},
            r"`model.checkpoint` was .*other",
        ),
        ({"quality": QualityConfig(read_text=False)}, r"`quality.read_text` was true, is false"),
    ],
)
def test_other_settings_are_refused_with_the_difference(
    order: Order, changed: dict[str, Any], told: str
) -> None:
    first = prepared(order)
    with pytest.raises(RunRefused, match=told):
        prepared(order, CONFIG.model_copy(update=changed))
    assert prepared(order) == first


def test_another_manifest_is_refused(tmp_path: Path) -> None:
    prepared(written(tmp_path, GOOD, OTHER))
    with pytest.raises(RunRefused, match="the manifest was another one"):
        prepared(written(tmp_path, GOOD))


def test_another_input_root_is_refused(order: Order, tmp_path: Path) -> None:
    prepared(order)
    with pytest.raises(RunRefused, match=r"`input_root` was .*, is .*elsewhere"):
        prepared(replace(order, input_root=str(tmp_path / "elsewhere")))


# Folders of images


def test_a_folder_is_its_own_root_and_goes_on(tmp_path: Path) -> None:
    order = folder_order(tmp_path)
    record = prepared(order)
    assert (record.manifest.rows, record.manifest.kind) == (4, "folder")
    assert order.root == str(tmp_path / "photos")
    assert prepared(order) == record
    with pytest.raises(RunRefused, match="manifest"):
        prepared(replace(order, source=Source(order.source.place, ("make it red",))))


def folder_order(tmp_path: Path, out: str = "out") -> Order:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(name.encode())
    return Order(Source(str(folder), ("make it blue", "make it red")), str(tmp_path / out))


def by_link(tmp_path: Path) -> str:
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    return str(tmp_path / "link" / "out")


@pytest.mark.parametrize(
    "place",
    [
        lambda folder: str(folder / "photos"),
        lambda folder: str(folder / "photos" / "a" / "out"),
        lambda folder: str(folder / "other" / ".." / "photos" / "out"),
        lambda folder: f"file://{folder}/photos/out",
        by_link,
    ],
)
def test_results_among_the_images_are_refused(tmp_path: Path, place: Callable[[Path], str]) -> None:
    order = folder_order(tmp_path)
    order = replace(order, out=place(tmp_path))
    with pytest.raises(RunRefused, match="beside it"):
        checked(order, CONFIG)


def test_results_among_the_images_of_a_store_are_refused() -> None:
    root = f"memory://{uuid.uuid4().hex}"
    ByteStore(root).put("photos/a.png", b"x")
    source = Source(f"{root}/photos", ("make it blue",))
    with pytest.raises(RunRefused):
        checked(Order(source, f"{root}/photos/out"), CONFIG)
    for out in (f"{root}/photos-out", f"{root}/out", "/somewhere/on/this/machine"):
        assert checked(Order(source, out), CONFIG).rows == 1


def test_beside_the_images_is_fine(tmp_path: Path) -> None:
    assert prepared(folder_order(tmp_path, "photos-out")).manifest.rows == 4
