"""The results of a run, read by columns and, of a few rows, whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serve_app.bulk.results import RESULTS
from serve_app.storage.byte_store import ByteStore


class ResultsFile:
    """``results.parquet`` of a run. Rows are named by their index in it, from 0."""

    def __init__(self, file: pq.ParquetFile) -> None:
        self._file = file
        groups = range(file.num_row_groups)
        sizes = [file.metadata.row_group(group).num_rows for group in groups]
        self._ends = np.cumsum(np.array(sizes, dtype=np.int64))

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column, of all rows."""
        return self._file.read(columns=[name]).column(0)

    def rows(self, indices: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Some columns of a few rows, in the order of ``indices``."""
        found: dict[int, dict[str, Any]] = {}
        for group in sorted({self._group(index) for index in indices}):
            begin = int(self._ends[group - 1]) if group else 0
            table = self._file.read_row_group(group, columns=list(columns))
            for index in indices:
                if self._group(index) == group:
                    (found[index],) = table.slice(index - begin, 1).to_pylist()
        return [found[index] for index in indices]

    def _group(self, index: int) -> int:
        return int(np.searchsorted(self._ends, index, side="right"))


@contextmanager
def open_results(store: ByteStore) -> Iterator[ResultsFile]:
    """Open the results of the run in ``store``.

    Raises ``FileNotFoundError`` if they were not written, ``NotReady`` when storage is away.
    """
    if store.local is not None:
        # Not read as a whole: most columns of most rows are never looked at.
        with pq.ParquetFile(store.local / RESULTS, memory_map=True) as file:
            yield ResultsFile(file)
        return
    data = store.get(RESULTS)
    if data is None:
        raise FileNotFoundError(RESULTS)
    with pq.ParquetFile(pa.BufferReader(data)) as file:
        yield ResultsFile(file)
