"""How rows ended, written down one by one: files of JSON lines, many writers, read as a table."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
from pyarrow import json as arrow_json

from serve_app.bulk.record import SCHEMA, RowRecord
from serve_app.errors import RunRefused
from serve_app.storage.byte_store import ByteStore

FOLDER = "ledger"
SEGMENT_BYTES = 256 * 1024
"""From this size on a writer begins a new segment: the whole of one is written each time."""

_SEGMENT = re.compile(rf"{FOLDER}/(\d{{20}})-[0-9a-f]{{8}}-\d{{6}}\.jsonl")
_TOGETHER = 16  # segments that are parsed at once
_READERS = 8  # threads


class Ledger:
    """One writer's part of the ledger of the run in ``store``; of one event loop.

    ``writer`` is 8 hexadecimal digits that no other writer has, random by default. A segment
    is replaced as a whole each time, so that none has half a line. Its name sorts after those
    of segments that were there when this writer wrote first, whatever the clocks say.
    """

    def __init__(self, store: ByteStore, writer: str | None = None) -> None:
        self._store = store
        self._writer = secrets.token_hex(4) if writer is None else writer
        self._opened_at: int | None = None
        self._number = 0
        self._segment = bytearray()
        self._stored = True  # all of the segment
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def append(self, record: RowRecord) -> None:
        """Return once ``record`` is stored; what comes while others are is stored together.

        A cancelled call may still store its record.

        Raises:
            NotReady: Storage is full or away. The record is stored with the next one that is.
        """
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((_line(record), stored))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await stored

    async def _write_all(self) -> None:
        """Write what waits until nothing does; not a caller's task, so none can cancel it."""
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                error = await self._write([line for line, _ in group])
                for _, stored in group:
                    if stored.done():  # its caller has left
                        continue
                    if error is None:
                        stored.set_result(None)
                    else:
                        stored.set_exception(error)
        finally:
            self._writing = None

    async def _write(self, lines: Sequence[bytes]) -> Exception | None:
        if self._stored and len(self._segment) >= SEGMENT_BYTES:
            self._segment.clear()
            self._number += 1
        # Kept until it is stored, however long it gets: the rows did end like that.
        self._segment += b"".join(lines)
        self._stored = False
        try:
            await asyncio.to_thread(self._put, bytes(self._segment))
        except Exception as error:  # noqa: BLE001 for those who wait
            return error
        self._stored = True
        return None

    def _put(self, data: bytes) -> None:
        if self._opened_at is None:
            self._opened_at = max(time.time_ns(), _latest(self._store) + 1)
        name = f"{FOLDER}/{self._opened_at:020d}-{self._writer}-{self._number:06d}.jsonl"
        self._store.put(name, data)


def read_ledger(store: ByteStore) -> pa.Table:
    """The last record of each row, sorted by row, with the columns of ``record.SCHEMA``.

    Columns that other versions of this service wrote besides are left out.

    Raises:
        RunRefused: A segment is not what a ledger writes.
        NotReady: Storage is away.
    """
    names = list(_segments(store))
    groups = [names[i : i + _TOGETHER] for i in range(0, len(names), _TOGETHER)]
    with ThreadPoolExecutor(_READERS) as threads:
        tables = list(threads.map(lambda group: _read(store, group), groups))
    if not tables:
        return SCHEMA.empty_table()
    return _last_of_each(pa.concat_tables(tables))


def _line(record: RowRecord) -> bytes:
    # Half a surrogate pair, which a text of JSON can have, is no character: no reader takes it.
    text = json.dumps(record.to_json(), ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace") + b"\n"


def _segments(store: ByteStore) -> Iterator[str]:
    return (name for name in store.names(FOLDER) if _SEGMENT.fullmatch(name))


def _latest(store: ByteStore) -> int:
    """When the last segment was opened, nanoseconds since 1970; 0 if there is none."""
    return max((int(name.split("/")[1][:20]) for name in _segments(store)), default=0)


def _read(store: ByteStore, names: Sequence[str]) -> pa.Table:
    segments = [store.get(name) or b"" for name in names]
    for name, data in zip(names, segments, strict=True):
        if not _is_lines(data):
            raise _unreadable(name)
    try:
        return _parsed(b"\n".join(segments))
    except pa.ArrowInvalid:
        pass
    for name, data in zip(names, segments, strict=True):
        try:
            _parsed(data)
        except pa.ArrowInvalid as error:
            raise _unreadable(name) from error
    raise _unreadable(names[0])


def _is_lines(data: bytes) -> bool:
    """Whether all lines are text and begin an object, without which Arrow's parser may crash."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    return not data or (data.startswith(b"{") and data.count(b"\n{") + 1 == lines)


def _parsed(data: bytes) -> pa.Table:
    if not data.strip():
        return SCHEMA.empty_table()
    table = arrow_json.read_json(
        pa.BufferReader(data),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(data)),
        parse_options=arrow_json.ParseOptions(
            explicit_schema=SCHEMA, unexpected_field_behavior="ignore"
        ),
    )
    return pa.Table.from_arrays(table.select(SCHEMA.names).columns, schema=SCHEMA)


def _last_of_each(records: pa.Table) -> pa.Table:
    rows = records["row"].to_numpy()
    _, from_end = np.unique(rows[::-1], return_index=True)
    return records.take(pa.array(len(rows) - 1 - from_end))


def _unreadable(name: str) -> RunRefused:
    return RunRefused(
        f"`{name}` in the output folder can't be read. Put back what it was, or move it away to "
        "have its rows run again."
    )
