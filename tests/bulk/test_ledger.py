"""The ledger: what was acknowledged is read back, and the last record of a row wins."""

import asyncio
import json
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.bulk import ledger
from serve_app.bulk.ledger import Ledger, read_ledger
from serve_app.bulk.record import CHECKS, SCHEMA, RowRecord, Status
from serve_app.errors import NotReady, RunRefused
from serve_app.storage.byte_store import ByteStore

from .conftest import memory
from .s3 import s3  # noqa: F401 a fixture

Fate = Literal["stored", "lost", "stored and not told"]


def record(row: int, ended_at: float = 1.5, **more: Any) -> RowRecord:
    return RowRecord(row, f"row-{row}", Status.SUCCEEDED, ended_at, **more)


def rows(store: ByteStore) -> list[tuple[int, float]]:
    """Rows of the ledger and when they ended."""
    table = read_ledger(store)
    return list(zip(table["row"].to_pylist(), table["ended_at"].to_pylist(), strict=True))


class Fickle(ByteStore):
    """Storage in memory whose next write can fail, and that counts and can hold up writes."""

    def __init__(self) -> None:
        super().__init__(f"memory://{uuid.uuid4().hex}")
        self.fate: Fate = "stored"
        self.puts = 0
        self.begun = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def put(self, name: str, data: bytes) -> None:
        self.puts += 1
        self.begun.set()
        self.may_go_on.wait()
        fate, self.fate = self.fate, "stored"
        if fate != "lost":
            super().put(name, data)
        if fate != "stored":
            raise NotReady("Storage does not answer.")


async def test_records_come_back_sorted_by_row(store: ByteStore) -> None:
    full = record(
        2,
        1.8e9 + 0.25,
        verdict="warn",
        reasons=("소리", "two"),
        checks={CHECKS[0]: 0.5, CHECKS[-1]: 1.0},
        seed=2**63 - 1,
        true_cfg_scale=4.0,
        width=1024,
        image="images/3f/row-2.png",
    )
    failed = RowRecord(1, "é", Status.FAILED, 3.0, "not_ready", "Storage is away.\n\0\u2028")
    one, other = Ledger(store), Ledger(store)
    await asyncio.gather(one.append(full), other.append(failed), one.append(record(3)))
    table = read_ledger(store)
    assert table.schema == SCHEMA
    first, second, third = table.to_pylist()
    assert (first["row"], first["id"]) == (1, "é")
    assert first["status"] == "failed"
    assert first["error_message"] == "Storage is away.\n\0\u2028"
    assert first["reasons"] == []
    assert second["reasons"] == ["소리", "two"]
    assert second["checks"] == dict.fromkeys(CHECKS) | {CHECKS[0]: 0.5, CHECKS[-1]: 1.0}
    assert (second["seed"], second["true_cfg_scale"]) == (2**63 - 1, 4.0)
    assert second["ended_at"] == 1.8e9 + 0.25
    assert third["width"] is None
    assert third["row"] == 3


def test_an_empty_ledger_is_an_empty_table(store: ByteStore) -> None:
    table = read_ledger(store)
    assert table.schema == SCHEMA
    assert table.num_rows == 0


async def test_a_segment_is_named_by_time_writer_and_number(store: ByteStore) -> None:
    await Ledger(store, "0123abcd").append(record(1))
    (name,) = store.names("ledger")
    when, writer, number = name.removeprefix("ledger/").removesuffix(".jsonl").split("-")
    assert len(when) == 20
    assert (writer, number) == ("0123abcd", "000000")
    assert json.loads(store.get(name) or b"") == record(1).to_json()


async def test_a_full_segment_is_left_for_a_new_one(
    store: ByteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "SEGMENT_BYTES", 500)
    writer = Ledger(store)
    for row in range(30, 0, -1):
        await writer.append(record(row))
        await writer.append(record(row, ended_at=2.0))
    sizes = [len(store.get(name) or b"") for name in store.names("ledger")]
    assert len(sizes) > 3
    assert all(500 <= size < 1000 for size in sizes[:-1])
    assert rows(store) == [(row, 2.0) for row in range(1, 31)]


async def test_many_segments_are_read_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "SEGMENT_BYTES", 1)
    monkeypatch.setattr(ledger, "_TOGETHER", 3)
    store = memory()
    writer = Ledger(store)
    for number in range(40):
        await writer.append(record(number % 7, ended_at=number))
    assert rows(store) == [(row, 35 + row if row < 5 else 28 + row) for row in range(7)]


async def test_what_comes_during_a_write_shares_the_next() -> None:
    store = Fickle()
    store.may_go_on.clear()
    writer = Ledger(store)
    first = asyncio.create_task(writer.append(record(0)))
    await asyncio.to_thread(store.begun.wait)
    others = [asyncio.create_task(writer.append(record(row))) for row in range(1, 50)]
    await asyncio.sleep(0)
    store.may_go_on.set()
    await asyncio.gather(first, *others)
    assert store.puts == 2
    assert len(rows(store)) == 50


async def test_a_caller_that_leaves_takes_nobody_along() -> None:
    store = Fickle()
    store.may_go_on.clear()
    writer = Ledger(store)
    tasks = [asyncio.create_task(writer.append(record(row))) for row in range(3)]
    await asyncio.to_thread(store.begun.wait)
    late = asyncio.create_task(writer.append(record(3)))
    await asyncio.sleep(0)
    tasks[0].cancel()
    late.cancel()
    store.may_go_on.set()
    results = await asyncio.gather(*tasks, late, return_exceptions=True)
    assert [type(result) for result in results] == [
        asyncio.CancelledError,
        type(None),
        type(None),
        asyncio.CancelledError,
    ]
    await writer.append(record(4))
    assert {1, 2, 4} <= {row for row, _ in rows(store)}


@pytest.mark.parametrize("segment_bytes", [1, 256 * 1024])
@pytest.mark.parametrize("fate", ["lost", "stored and not told"])
async def test_a_write_that_fails_is_told_to_all_and_made_up_for(
    fate: Fate, segment_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "SEGMENT_BYTES", segment_bytes)
    store = Fickle()
    writer = Ledger(store)
    await writer.append(record(0))
    store.fate = fate
    results = await asyncio.gather(
        *(writer.append(record(row)) for row in (1, 2)), return_exceptions=True
    )
    assert [type(result) for result in results] == [NotReady, NotReady]
    await writer.append(record(3))
    assert [row for row, _ in rows(store)] == [0, 1, 2, 3]


async def test_a_clock_that_is_behind_changes_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    store = memory()
    for ended_at, now in ((1.0, 5000), (2.0, 4000), (3.0, 1)):
        monkeypatch.setattr(ledger.time, "time_ns", lambda now=now: now)
        await Ledger(store).append(record(1, ended_at=ended_at))
    assert rows(store) == [(1, 3.0)]


async def test_half_a_character_does_not_spoil_the_ledger(store: ByteStore) -> None:
    await Ledger(store).append(record(1, error_message="half: \ud83d"))
    assert read_ledger(store)["error_message"].to_pylist() == ["half: ?"]


NAME = "ledger/00000000000000000007-0123abcd-000000.jsonl"


def put_lines(store: ByteStore, *lines: dict[str, Any], name: str = NAME) -> None:
    store.put(name, b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def test_fields_of_other_versions_are_left_out() -> None:
    store = memory()
    kept = {"row": 1, "id": "a", "status": "failed", "checks": {"of_old": 1.0, CHECKS[0]: 2}}
    put_lines(store, kept | {"new": {"deep": [1]}}, {"row": 2, "id": "b", "status": "failed"})
    first, second = read_ledger(store).to_pylist()
    assert first["checks"] == dict.fromkeys(CHECKS) | {CHECKS[0]: 2.0}
    assert second["checks"] is None


def test_other_files_in_the_folder_are_not_read() -> None:
    store = memory()
    put_lines(store, {"row": 1, "id": "a", "status": "failed", "ended_at": 1})
    store.put("ledger/notes.txt", b"mine")
    store.put("ledger/.DS_Store", b"\0")
    store.put(NAME + ".bak", b"broken")
    store.put(NAME.replace("7", "8"), b"")
    assert rows(store) == [(1, 1.0)]


@pytest.mark.parametrize(
    "content",
    [
        b'{"row": 1, "id": "a", "status": "failed"}\n{"row": 2, "id"',
        b'{"row": 1, "id": "a", "status": "failed"}\ngarbage\n',
        b'{"row": 1, "id": "a", "status": "failed"}\nnull\n',
        b'{"row": "one", "id": "a", "status": "failed"}\n',
        b'{"id": "a", "status": "failed"}\n',
        b'{"row": 1, "id": null, "status": "failed"}\n',
        b'{"row": 1, "id": "\xff", "status": "failed"}\n',
        b'{"row": 1, "row": 2, "id": "a", "status": "failed"}\n',
        b"null\n",
        b"[]\n",
        b"\0" * 512,
        b"\n\n",
    ],
)
def test_a_broken_segment_is_refused_by_its_name(store: ByteStore, content: bytes) -> None:
    put_lines(store, {"row": 1, "id": "a", "status": "failed"}, name=NAME.replace("7", "6"))
    store.put(NAME, content)
    put_lines(store, {"row": 1, "id": "a", "status": "failed"}, name=NAME.replace("7", "8"))
    with pytest.raises(RunRefused) as caught:
        read_ledger(store)
    assert NAME in caught.value.message


WRITERS = 3
steps = st.tuples(
    st.integers(0, WRITERS - 1),
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.sampled_from(["stored", "stored", "lost", "stored and not told"]),
)


@given(runs=st.lists(st.lists(steps, max_size=8), max_size=4), segment_bytes=st.integers(1, 800))
def test_acknowledged_records_survive_failures_and_kills(
    runs: Sequence[Sequence[tuple[int, list[int], Fate]]], segment_bytes: int
) -> None:
    """In each run each row has one writer, as in life; all are abandoned at its end."""
    store = Fickle()
    possible: dict[int, list[float | None]] = {}
    clock = iter(range(10_000))

    async def append(writer: Ledger, row: int) -> None:
        ended_at = float(next(clock))
        before = possible.setdefault(row, [None])
        before.append(ended_at)  # from now on it may be read
        with suppress(NotReady):
            await writer.append(record(row, ended_at=ended_at))
            # … and now what is older may not.
            possible[row] = [at for at in possible[row] if at is not None and at >= ended_at]

    async def run(number: int, todo: Sequence[tuple[int, list[int], Fate]]) -> None:
        writers = [Ledger(store) for _ in range(WRITERS)]
        for index, chosen, fate in todo:
            store.fate = fate
            ours = [WRITERS * row + (index + number) % WRITERS for row in chosen]
            await asyncio.gather(*(append(writers[index], row) for row in ours))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ledger, "SEGMENT_BYTES", segment_bytes)
        for number, todo in enumerate(runs):
            asyncio.run(run(number, todo))
            found = dict(rows(store))
            assert found.keys() <= possible.keys()
            for row, allowed in possible.items():
                assert found.get(row) in allowed
