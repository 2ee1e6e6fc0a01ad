"""A row all the way, with the real engine: files first, then the ledger, and faults where due."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve_app.bulk.desk import Desk, DeskOptions, Stopped, Turn
from serve_app.bulk.editing import RowEditor, Service
from serve_app.bulk.ledger import Ledger, read_ledger
from serve_app.bulk.loading import LoadedRow
from serve_app.bulk.output import NotByTheWorkflow, RowOutput
from serve_app.bulk.record import RowRecord
from serve_app.bulk.row import Row
from serve_app.config import CacheConfig, PlanningConfig, ServiceConfig
from serve_app.edits.job import EditedImage, EditJob
from serve_app.edits.request import EditRequest
from serve_app.edits.result import EditOutcome
from serve_app.engine.engine import Engine
from serve_app.errors import EditFailed, EditServiceError, NotReady
from serve_app.images.masks import Box, EditMask
from serve_app.images.pixels import DecodedImage
from serve_app.storage.byte_store import ByteStore
from serve_app.storage.shared_cache import SharedCache
from serve_app.workflows.in_process import assemble
from tests.conftest import decoded, photo
from tests.storage.virtual_time import files_below
from tests.workflows import conftest as workflows
from tests.workflows.faulty_editor import FaultyEditor, joined

NO_PATIENCE_S = -1.0
TOGETHER = 4

model, engine = workflows.model, workflows.engine


@pytest.fixture
def config(request: pytest.FixtureRequest, tmp_path: Path) -> ServiceConfig:
    """As bulk runs have it: nothing of the service's storage plays a part."""
    return ServiceConfig(
        model=request.getfixturevalue("model"),
        planning=PlanningConfig(num_inference_steps=2, max_attempts=1),
        cache=CacheConfig(lease_s=5, disk_bytes=0),
        quality=workflows.QUALITY,
    )


class Flaky(ByteStore):
    """An output folder that takes no files whose names begin with ``refusing``."""

    refusing: str | None = None

    def put(self, name: str, data: bytes) -> None:
        if self.refusing is not None and name.startswith(self.refusing):
            raise NotReady("Storage is full, so nothing was stored.", None, 0.0)
        super().put(name, data)


class Together(FaultyEditor):
    """Notes how many others each edit met, by its image."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.running: set[str] = set()
        self.beside: dict[str, int] = {}

    async def edit(self, job: EditJob) -> EditedImage:
        image = job.subject_id
        self.running.add(image)
        for one in self.running:
            self.beside[one] = max(self.beside.get(one, 0), len(self.running) - 1)
        try:
            return await super().edit(job)
        finally:
            self.running.discard(image)


class AtDesk:
    """The desk in this process, and what is in the output as each row ends."""

    def __init__(self, desk: Desk, store: ByteStore) -> None:
        self._desk = desk
        self._store = store
        self.files_at_end: dict[int, list[str]] = {}

    async def begin(self, row: int, *, alone: bool = False) -> Turn:
        return self._desk.begin(row, alone=alone)

    async def end(self, record: RowRecord) -> None:
        self.files_at_end[record.row] = self._store.names("")
        await self._desk.end(record)


@dataclass
class Device:
    """An engine that may be found to be broken; all edits can share a batch."""

    broken: bool = False
    companies: list[EditRequest] = field(default_factory=list)

    def company(self, request: EditRequest) -> str:
        self.companies.append(request)
        return "all"

    async def check(self) -> None:
        if self.broken:
            raise NotReady("The editor fails every edit.")


class Run:
    """Everything that a row meets, with rows 1 to 20 handed out."""

    def __init__(self, folder: Path, service: Service, device: Any = None) -> None:
        self.store = Flaky(str(folder / "out"))
        self.desk = Desk(Ledger(self.store), DeskOptions(20, 20))
        self.at_desk = AtDesk(self.desk, self.store)
        self.rows = RowEditor(
            service,
            device or Device(),
            self.at_desk,
            RowOutput(self.store),
            TOGETHER,
            NO_PATIENCE_S,
        )

    async def edit(self, *loaded: LoadedRow) -> None:
        if self.desk.tally().begun == 0:
            await self.desk.take(range(1, 21))
        await asyncio.gather(*(self.rows.run(one) for one in loaded))

    @property
    def records(self) -> dict[int, dict[str, Any]]:
        return {record["row"]: record for record in read_ledger(self.store).to_pylist()}

    @property
    def results(self) -> list[str]:
        """Names of images and records."""
        return self.store.names("images") + self.store.names("records")


Running = Callable[..., Run]


@pytest.fixture
def running(tmp_path: Path, config: ServiceConfig, engine: Engine) -> Running:
    """A run with the real engine, or with an editor of the test's own."""

    def start(editor: Any = engine, device: Any = None) -> Run:
        service = assemble(config, editor, results=NotByTheWorkflow())
        return Run(tmp_path, service, device or Device())

    return start


def loaded(number: int = 1, seed: int = 1, **asked: Any) -> LoadedRow:
    row = Row(number, f"shoe {number}", ("x.png",), None, {"prompt": "make it blue", **asked})
    rng = np.random.default_rng(seed)
    pixels = photo("coffee", (96, 64)).copy()
    pixels[:8, :8] = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return LoadedRow(row, (DecodedImage.of(pixels),))


# Rows that succeed


async def test_a_row_ends_with_its_files_and_its_line(
    running: Running, config: ServiceConfig
) -> None:
    run = running()
    await run.edit(loaded())
    (record,) = run.records.values()
    assert (record["row"], record["id"], record["status"]) == (1, "shoe 1", "succeeded")
    assert (record["width"], record["height"]) == (96, 64)
    assert (record["attempts"], record["num_inference_steps"]) == (1, 2)
    # Guided, so every step takes two.
    assert record["forwards"] == 4
    assert record["cache"] == "miss"
    assert record["model"] == config.model.name
    assert record["verdict"] in {"pass", "pass_unverified", "fail"}
    image = run.store.get(record["image"])
    assert image is not None
    assert decoded(image).shape == (64, 96, 3)
    metadata = json.loads(run.store.get(record["record"]) or b"")
    assert metadata["row_id"] == "shoe 1"
    assert metadata["seed"] == record["seed"]


async def test_the_files_are_there_before_the_line_is(running: Running) -> None:
    run = running()
    await run.edit(loaded())
    assert run.at_desk.files_at_end[1] == run.results


@pytest.mark.parametrize("together", [False, True])
async def test_a_row_is_the_edit_that_the_service_makes(
    running: Running, config: ServiceConfig, engine: Engine, together: bool
) -> None:
    """Alone bit for bit; in a batch, whose sums are rounded otherwise, to the last bit."""
    run = running()
    rows = [loaded(n, seed=n) for n in range(1, 6)]
    if together:
        await run.edit(*rows)
    else:
        for row in rows:
            await run.edit(row)
    alone = assemble(config, engine, results=NotByTheWorkflow())
    for row in rows:
        result = (await alone.edit(row.request())).result
        record = run.records[row.row.number]
        image = run.store.get(record["image"])
        assert image is not None
        difference = np.abs(decoded(image).astype(int) - decoded(result.png).astype(int))
        assert difference.max() <= (1 if together else 0)
        assert record["seed"] == result.seed


async def test_rows_that_ask_for_the_same_cost_one_edit(running: Running, engine: Engine) -> None:
    editor = FaultyEditor(engine)
    run = running(editor)
    await run.edit(*(loaded(n) for n in range(1, 4)))
    await run.edit(loaded(4))
    assert len(editor.jobs) == 1
    caches = [run.records[n]["cache"] for n in range(1, 5)]
    assert sorted(caches[:3]) == ["joined", "joined", "miss"]
    assert caches[3] == "hit"
    images = {run.records[n]["image"] for n in range(1, 5)}
    assert len(images) == 4
    assert len({run.store.get(name) for name in images}) == 1


async def test_no_more_rows_than_the_batch_holds_are_edited_at_once(
    tmp_path: Path, config: ServiceConfig, engine: Engine
) -> None:
    hold = asyncio.Event()
    editor = FaultyEditor(engine, hold=hold)
    cache = SharedCache(config.cache, tmp_path)
    run = Run(tmp_path, assemble(config, editor, cache, results=NotByTheWorkflow()))
    # The same edit for all, so that those who came so far can be counted: one leads.
    editing = asyncio.create_task(run.edit(*(loaded(n) for n in range(1, TOGETHER + 5))))
    await joined(cache, TOGETHER - 1)
    tally = run.desk.tally()
    assert tally.in_flight == tally.begun == TOGETHER
    hold.set()
    await editing
    assert run.desk.tally().succeeded == TOGETHER + 4


async def test_who_shares_a_batch_is_asked_of_the_engine(running: Running) -> None:
    device = Device()
    await running(device=device).edit(loaded())
    assert [request.prompt for request in device.companies] == ["make it blue"]


async def test_the_real_engine_knows_companies(running: Running, engine: Engine) -> None:
    run = running(device=engine)
    await run.edit(loaded(1), loaded(2, seed=2))
    assert run.desk.tally().succeeded == 2


# Rows that fail


async def test_a_row_that_fails_is_a_line_and_others_go_on(
    running: Running, engine: Engine
) -> None:
    run = running(FaultyEditor(engine, failing=1))
    await run.edit(loaded(1))
    await run.edit(loaded(2, seed=2))
    assert run.records[1]["status"] == "failed"
    assert run.records[1]["error_code"] == "edit_failed"
    assert run.records[1]["error_message"] == "The device failed."
    assert run.records[1]["image"] is None
    assert run.records[2]["status"] == "succeeded"
    assert len(run.results) == 2


async def test_a_row_that_asks_for_what_is_not_there_fails(running: Running) -> None:
    run = running()
    await run.edit(loaded(lora={"name": "nowhere", "scale": 1.0}))
    assert run.records[1]["error_code"] == "unusable_adapter"


async def test_a_failed_check_is_a_result_with_its_verdict(
    running: Running, engine: Engine
) -> None:
    run = running(FaultyEditor(engine, flat=1))
    await run.edit(loaded())
    record = run.records[1]
    assert (record["status"], record["verdict"]) == ("succeeded", "fail")
    assert record["reasons"]
    assert len(run.results) == 2


async def test_what_could_not_be_loaded_fails_without_an_edit(
    running: Running, engine: Engine
) -> None:
    editor = FaultyEditor(engine)
    run = running(editor)
    missing = replace(loaded(1), images=(), error=("image_not_found", "There is no image."))
    masked = replace(loaded(2, size="native"), mask=EditMask.of_box(Box(0, 0, 9, 9), 96, 64))
    await run.edit(missing, masked)
    assert editor.jobs == []
    assert run.records[1]["error_code"] == "image_not_found"
    assert run.records[1]["error_message"] == "There is no image."
    assert run.records[2]["error_code"] == "unusable_mask"


class Strange:
    """A service with a mistake."""

    async def edit(self, request: EditRequest) -> EditOutcome:
        raise ZeroDivisionError("/a/path of ours")


async def test_a_mistake_of_ours_is_the_rows_failure_and_tells_no_secret(tmp_path: Path) -> None:
    run = Run(tmp_path, Strange())
    await run.edit(loaded())
    assert run.records[1]["error_code"] == "edit_failed"
    assert "path" not in run.records[1]["error_message"]


# What is no fault of the row's


@pytest.mark.parametrize(
    "error", [EditFailed("The device failed."), NotReady("The editor has stopped.", None, 0.0)]
)
async def test_a_broken_device_is_not_the_rows_fault(
    running: Running, engine: Engine, error: EditServiceError
) -> None:
    device = Device(broken=True)
    run = running(FaultyEditor(engine, failing=1, error=error), device)
    with pytest.raises(NotReady, match="fails every edit"):
        await run.edit(loaded())
    assert run.records == {}
    assert run.desk.tally().in_flight == 1
    # It comes to another editor, and its seat here is free.
    device.broken = False
    await run.edit(loaded())
    assert run.records[1]["status"] == "succeeded"


@pytest.mark.parametrize("refusing", ["images/", "records/", "ledger/"])
async def test_what_can_not_be_stored_has_not_ended(
    running: Running, tmp_path: Path, refusing: str
) -> None:
    run = running()
    run.store.refusing = refusing
    with pytest.raises(NotReady):
        await run.edit(loaded())
    assert run.records == {}
    assert run.desk.tally().succeeded == 0
    run.store.refusing = None
    await run.edit(loaded())
    assert run.records[1]["status"] == "succeeded"
    # Nothing is left of the first time but what was written again.
    assert len(files_below(tmp_path / "out")) == 3


async def test_a_failed_row_that_can_not_be_noted_has_not_ended(
    running: Running, engine: Engine
) -> None:
    run = running(FaultyEditor(engine, failing=1))
    run.store.refusing = "ledger/"
    with pytest.raises(NotReady):
        await run.edit(loaded())
    assert run.records == {}


# Turns


async def test_a_row_over_which_editors_died_is_given_up(running: Running, engine: Engine) -> None:
    editor = FaultyEditor(engine)
    run = running(editor)
    await run.desk.take([1])
    assert [run.desk.begin(1), run.desk.begin(1, alone=True)] == [Turn.GO, Turn.GO]
    await run.rows.run(loaded())
    assert editor.jobs == []
    assert run.records[1]["error_code"] == "replica_lost"


async def test_a_row_that_lost_its_editor_is_edited_alone(running: Running, engine: Engine) -> None:
    """One of those that were there may kill the next editor, too: it takes nobody along."""
    editor = Together(engine)
    run = running(editor)
    await run.desk.take([1, 2, 3])
    assert [run.desk.begin(1), run.desk.begin(2)] == [Turn.GO, Turn.GO]  # and it died
    rows = [loaded(number=number, seed=number) for number in (1, 2, 3)]
    await asyncio.gather(*(run.rows.run(row) for row in rows))
    assert {row["status"] for row in run.records.values()} == {"succeeded"}
    assert [editor.beside[row.images[0].id] for row in rows[:2]] == [0, 0]


async def test_a_row_that_ended_is_not_edited_again(running: Running, engine: Engine) -> None:
    editor = FaultyEditor(engine)
    run = running(editor)
    await run.edit(loaded(seed=1))
    before = run.records
    await run.edit(loaded(seed=2), replace(loaded(), error=("image_not_found", "…")))
    assert len(editor.jobs) == 1
    assert run.records == before


async def test_after_a_stop_no_row_begins(running: Running, engine: Engine) -> None:
    editor = FaultyEditor(engine)
    run = running(editor)
    await run.desk.take([1, 2])
    run.desk.stop(Stopped.INTERRUPTED)
    await run.rows.run(loaded(1))
    await run.rows.run(replace(loaded(2), error=("image_not_found", "…")))
    assert (editor.jobs, run.records) == ([], {})
