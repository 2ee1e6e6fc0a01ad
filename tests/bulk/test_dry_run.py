"""A dry run: everything is checked and told, and nothing is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serve_app.bulk.dry_run import dry_run
from serve_app.bulk.ledger import Ledger
from serve_app.bulk.manifest.source import Source
from serve_app.bulk.preparing import Order, prepare
from serve_app.bulk.record import failed_record
from serve_app.bulk.row import Row
from serve_app.config import Actors, BulkConfig, PlanningConfig, ServiceConfig
from serve_app.errors import ConfigurationError, RunRefused, UnusableManifest
from serve_app.storage.byte_store import ByteStore
from tests.storage.virtual_time import files_below

CONFIG = ServiceConfig(
    planning=PlanningConfig(num_inference_steps=4),
    bulk=BulkConfig(editors=Actors(number=2), seconds_per_forward=0.5, price_per_hour=3.6),
)
GOOD = {"id": "a", "image": "a.png", "prompt": "make it blue"}
OTHER = {"id": "b", "image": "b.png", "prompt": "make it red"}
BAD = {"id": "c", "image": "../c.png", "prompt": "make it green"}


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return written(tmp_path, GOOD, OTHER)


def written(folder: Path, *rows: dict[str, Any]) -> Order:
    manifest = folder / "edits.jsonl"
    manifest.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return Order(Source(str(manifest)), str(folder / "out"))


def prepared(order: Order) -> None:
    prepare(ByteStore(order.out), order, CONFIG)


def test_a_dry_run_tells_all_and_writes_nothing(tmp_path: Path) -> None:
    order = written(tmp_path, GOOD, OTHER, BAD)
    before = files_below(tmp_path)
    told = dry_run(CONFIG, order)
    assert (told.manifest.rows, told.manifest.faults.count) == (3, 1)
    assert (told.ended, told.left) == (0, 2)
    assert [(edit.id, edit.steps) for edit in told.sample] == [("a", 4), ("b", 4)]
    # Two rows of 4 steps with two forwards each, half a second a forward, on two editors.
    assert told.estimate.seconds == 2 * 8 * 0.5 / 2
    assert told.estimate.price == pytest.approx(4 / 3600 * 2 * 3.6)
    assert files_below(tmp_path) == before
    assert not (tmp_path / "out").exists()


async def test_a_dry_run_counts_what_has_ended(order: Order, tmp_path: Path) -> None:
    prepared(order)
    row = Row(1, "a", ("a.png",), None, {"prompt": "x"})
    await Ledger(ByteStore(order.out)).append(failed_record(row, "edit_failed", "…"))
    before = files_below(tmp_path)
    told = dry_run(CONFIG, order)
    assert (told.ended, told.left) == (1, 1)
    assert files_below(tmp_path) == before


def test_a_dry_run_is_refused_where_the_run_would_be(order: Order) -> None:
    prepared(order)
    changed = CONFIG.model_copy(update={"planning": PlanningConfig(num_inference_steps=9)})
    with pytest.raises(RunRefused, match="num_inference_steps"):
        dry_run(changed, order)


def test_a_dry_run_knows_missing_images(order: Order, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    assert dry_run(CONFIG, order).manifest.missing == 1


def test_storage_that_is_not_known_is_told(order: Order) -> None:
    with pytest.raises(ConfigurationError, match="The output folder must be a path"):
        dry_run(CONFIG, replace(order, out="nowhere://x"))


def test_a_manifest_that_can_not_be_read_is_refused(order: Order, tmp_path: Path) -> None:
    (tmp_path / "edits.jsonl").write_text("")
    with pytest.raises(UnusableManifest):
        dry_run(CONFIG, order)
