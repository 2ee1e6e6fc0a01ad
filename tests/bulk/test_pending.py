"""Which rows are still to be run: those that can be and have not ended, in their order."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.bulk.pending import Numbers, Pending, RowNumbers, put_parts, row_numbers
from serve_app.bulk.row import Row
from serve_app.errors import RunRefused
from serve_app.storage.byte_store import ByteStore

from .finished import put_part

REFUSED = ("missing_field", "`image` is required.")


def memory() -> ByteStore:
    return ByteStore(f"memory://{uuid.uuid4().hex}")


def numbers(rows: set[int] | list[int]) -> Numbers:
    return np.array(sorted(rows), np.int64)


def listed(pending: Pending, store: ByteStore) -> list[int]:
    return [row.number for row in pending.rows(store)]


@pytest.fixture
def store() -> ByteStore:
    """Rows 1 to 9 in three parts; 2, 7, 8 and 9 can't be run."""
    store = memory()
    put_part(store, 0, [1, 2, 3], refused={2: REFUSED})
    put_part(store, 1, [4, 5, 6], prompts={5: "make it blue"}, images={5: "a/b.png"})
    put_part(store, 2, [7, 8, 9], refused=dict.fromkeys((7, 8, 9), REFUSED))
    return store


def test_rows_that_can_be_run_are_told_from_others(store: ByteStore) -> None:
    rows = row_numbers(store)
    assert (rows.runnable, rows.refused) == (5, 4)
    pending = Pending.of(rows, numbers([]))
    assert len(pending) == 5
    assert listed(pending, store) == [1, 3, 4, 5, 6]


def test_rows_come_back_as_they_were_checked(store: ByteStore) -> None:
    pending = Pending.of(row_numbers(store), numbers([1, 3, 4, 6]))
    assert list(pending.rows(store)) == [
        Row(5, "id-5", ("a/b.png",), None, {"prompt": "make it blue"})
    ]


def test_without_rows_nothing_is_pending() -> None:
    store = memory()
    pending = Pending.of(row_numbers(store), numbers([]))
    assert (len(pending), listed(pending, store)) == (0, [])


@given(
    parts=st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=4),
    ended=st.sets(st.integers(1, 24)),
    only=st.none() | st.sets(st.integers(1, 24)),
    limit=st.none() | st.integers(0, 30),
)
def test_what_is_pending(
    parts: list[list[bool]], ended: set[int], only: set[int] | None, limit: int | None
) -> None:
    """True in ``parts`` is a row that can be run."""
    store, number, fine = memory(), 0, []
    for index, part in enumerate(parts):
        rows = list(range(number + 1, number + len(part) + 1))
        number += len(part)
        good = {row for row, it in zip(rows, part, strict=True) if it}
        fine += sorted(good)
        put_part(store, index, rows, refused={row: REFUSED for row in rows if row not in good})
    expected = [row for row in fine if (row not in ended if only is None else row in only)][:limit]
    pending = Pending.of(
        row_numbers(store), numbers(ended), None if only is None else numbers(only), limit
    )
    assert len(pending) == len(expected)
    assert listed(pending, store) == expected


def test_parts_are_stored_in_their_order() -> None:
    store = memory()
    put_parts(store, [b"%d" % index for index in range(12)])
    assert [store.get(name) for name in store.names("rows")] == [b"%d" % i for i in range(12)]


@pytest.mark.parametrize("kept", [0, 3, 4, 9, 100, -1, -4, -8])
def test_damaged_rows_are_told_by_their_file(tmp_path: Path, kept: int) -> None:
    store = ByteStore(str(tmp_path))
    put_part(store, 0, [1, 2, 3])
    file = tmp_path / "rows" / "00000.parquet"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(RunRefused, match=r"rows/00000\.parquet"):
        row_numbers(store)


def test_rows_that_got_lost_meanwhile_are_told(tmp_path: Path) -> None:
    store = ByteStore(str(tmp_path))
    put_part(store, 0, [1, 2, 3])
    pending = Pending.of(row_numbers(store), numbers([]))
    store.erase("rows/00000.parquet")
    with pytest.raises(RunRefused, match="damaged"):
        list(pending.rows(store))


def test_counting_without_parts() -> None:
    assert RowNumbers((), 0).runnable == 0


def test_parts_of_a_manifest_whose_run_never_began_are_gone(tmp_path: Path) -> None:
    store = ByteStore(str(tmp_path))
    put_parts(store, [b"one", b"two"])
    put_parts(store, [b"three"])
    assert [store.get(name) for name in store.names("rows")] == [b"three"]
