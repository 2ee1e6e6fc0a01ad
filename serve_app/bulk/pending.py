"""The checked rows of a run, and which of them are still to be run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from serve_app.bulk.parts import ROWS, part_names, read_part
from serve_app.bulk.row import Row
from serve_app.storage.byte_store import ByteStore

_OF_A_ROW = ["row", "id", "images", "mask", "asked"]

Numbers = NDArray[np.int64]
"""Numbers of rows, in order."""


def put_parts(store: ByteStore, parts: Sequence[bytes]) -> None:
    """Write the checked rows of a manifest, in place of what is there; raises ``NotReady``."""
    named = {f"{ROWS}/{index:05d}.parquet": part for index, part in enumerate(parts)}
    for name in part_names(store):
        if name not in named:  # of a manifest whose run never began
            store.erase(name)
    for name, part in named.items():
        store.put(name, part)


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
    for name in part_names(store):
        table = read_part(store, name, ["row", "error_code"])
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
            table = read_part(store, name, _OF_A_ROW)
            wanted = np.isin(table["row"].to_numpy(), numbers)
            for one in table.filter(pa.array(wanted)).to_pylist():
                yield Row(
                    one["row"],
                    one["id"],
                    tuple(one["images"]),
                    one["mask"],
                    json.loads(one["asked"]),
                )
