"""The checked rows of a run, and which of them are still to be run."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from serve_app.bulk.row import Row
from serve_app.errors import RunRefused
from serve_app.storage.byte_store import ByteStore

ROWS = "rows"
"""Folder of the checked rows, as Parquet files in their order."""

_OF_A_ROW = ["row", "id", "images", "mask", "asked"]

Numbers = NDArray[np.int64]
"""Numbers of rows, in order."""


def put_parts(store: ByteStore, parts: Sequence[bytes]) -> None:
    """Write the checked rows of a manifest; raises ``NotReady``."""
    for index, part in enumerate(parts):
        store.put(f"{ROWS}/{index:05d}.parquet", part)


@dataclass(frozen=True, slots=True)
class RowNumbers:
    """The rows of each part that can be run, and how many of all can't."""

    parts: tuple[tuple[str, Numbers], ...]
    refused: int

    @property
    def runnable(self) -> int:
        """Rows that can be run."""
        return sum(len(numbers) for _, numbers in self.parts)


def row_numbers(store: ByteStore) -> RowNumbers:
    """Read which rows there are; raises ``NotReady``, and ``RunRefused`` if they are damaged."""
    parts, refused = [], 0
    for name in store.names(ROWS):
        table = _read(store, name, ["row", "error_code"])
        numbers = table["row"].to_numpy()
        fine = table["error_code"].is_null().to_numpy(zero_copy_only=False)
        parts.append((name, numbers[fine].astype(np.int64)))
        refused += int((~fine).sum())
    return RowNumbers(tuple(parts), refused)


@dataclass(frozen=True, slots=True)
class Pending:
    """Rows to be run, by part."""

    parts: tuple[tuple[str, Numbers], ...]

    @classmethod
    def of(
        cls,
        rows: RowNumbers,
        ended: Numbers,
        only: Numbers | None = None,
        limit: int | None = None,
    ) -> Pending:
        """Those of ``rows`` that have not ``ended``, or ``only`` some; the first ``limit``."""
        parts = []
        left = limit
        for name, numbers in rows.parts:
            wanted = numbers[np.isin(numbers, ended, invert=True)]
            if only is not None:
                wanted = numbers[np.isin(numbers, only)]
            if left is not None:
                wanted = wanted[:left]
                left -= len(wanted)
            if len(wanted):
                parts.append((name, wanted))
        return cls(tuple(parts))

    @property
    def last(self) -> int:
        """The highest of their numbers; 0 if there are none."""
        return max((int(numbers[-1]) for _, numbers in self.parts), default=0)

    def without(self, ended: Numbers) -> Pending:
        """Those that are not among ``ended``."""
        return Pending.of(RowNumbers(self.parts, 0), ended)

    def __len__(self) -> int:
        return sum(len(numbers) for _, numbers in self.parts)

    def rows(self, store: ByteStore) -> Iterator[Row]:
        """Read them one after the other, a part at a time."""
        for name, numbers in self.parts:
            table = _read(store, name, _OF_A_ROW)
            wanted = np.isin(table["row"].to_numpy(), numbers)
            for one in table.filter(pa.array(wanted)).to_pylist():
                yield Row(
                    one["row"],
                    one["id"],
                    tuple(one["images"]),
                    one["mask"],
                    json.loads(one["asked"]),
                )


def _read(store: ByteStore, name: str, columns: list[str]) -> pa.Table:
    data = store.get(name)
    try:
        return pq.read_table(io.BytesIO(data or b""), columns=columns)
    except (pa.ArrowException, OSError) as error:  # both are of Arrow: the bytes are in memory
        raise RunRefused(
            f"`{name}` in the output folder is damaged. Choose another output folder.", "out"
        ) from error
