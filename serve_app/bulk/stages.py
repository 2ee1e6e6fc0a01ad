"""The stages of a run as Ray Data has them: rows handed out, loaded, edited.

They construct, delegate and translate. One Ray Data block is one row, so that every row waits,
fails and ends for itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from serve_app.bulk.actors import DeskClient, ValidatorPool
from serve_app.bulk.editing import RowEditor
from serve_app.bulk.loading import LoadedRow, RowLoader, row_facts, row_of
from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.output import NotByTheWorkflow, RowOutput
from serve_app.bulk.pending import Pending
from serve_app.config import ServiceConfig
from serve_app.deployments.cache import CacheClient
from serve_app.errors import NotReady
from serve_app.storage.byte_store import ByteStore
from serve_app.storage.shared_cache import SharedCache
from serve_app.workflows.in_process import assemble

logger = logging.getLogger(__name__)

_ASKED_FOR = 16
"""Rows that the source asks for at once."""

_NOTHING = pa.table({"rows": pa.array([], pa.int64())})


class RowSource(Datasource):
    """The rows that are still to be run, as the desk hands them out: one task reads them all."""

    def __init__(self, out: str, pending: Pending, desk: Any) -> None:
        super().__init__()
        self._out = out
        self._pending = pending
        self._desk = desk

    def get_name(self) -> str:
        return "Rows"

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, *_: Any, **__: Any) -> list[ReadTask]:
        facts = BlockMetadata(
            num_rows=len(self._pending), size_bytes=None, input_files=None, exec_stats=None
        )
        return [ReadTask(_reader(self._out, self._pending, self._desk), facts)]


def _reader(out: str, pending: Pending, desk: Any) -> Callable[[], Iterator[pa.Table]]:
    def read() -> Iterator[pa.Table]:
        waiting = pending.rows(ByteStore(out))
        asked: list[Any] = []
        while True:
            while len(asked) < _ASKED_FOR and (row := next(waiting, None)) is not None:
                asked.append(row)
            granted = ray.get(desk.take.remote([row.number for row in asked])) if asked else 0
            if not granted:
                return
            for row in asked[:granted]:
                yield pa.table({"facts": [json.dumps(row_facts(row))]})
            del asked[:granted]

    return read


class LoadRows:
    """Reads and decodes what rows name."""

    def __init__(self, root: str, config: ServiceConfig) -> None:
        self._loader = RowLoader(InputRoot(root), config.limits, config.bulk.patience_s)

    async def __call__(self, table: pa.Table) -> pa.Table:
        rows = [row_of(json.loads(facts)) for facts in table["facts"].to_pylist()]
        loaded = await asyncio.gather(*(self._loader.load(row) for row in rows))
        return pa.concat_tables([row.to_arrow() for row in loaded])


@dataclass(frozen=True, slots=True)
class Handles:
    """The actors that editors call; ``cache`` where there are several editors."""

    desk: Any
    validators: Sequence[Any]
    cache: Any | None


class EditRows:
    """One engine on one device, and the rows that it is sent."""

    def __init__(self, config: ServiceConfig, out: str, handles: Handles) -> None:
        from serve_app.engine.engine import Engine

        self._engine = Engine.load(config.model, config.engine, ask=config.asks_model)
        self._engine.warm_up()
        gateway = assemble(
            config,
            self._engine,
            SharedCache.open(config.cache, config.storage.folder)
            if handles.cache is None
            else CacheClient(handles.cache),
            judge=ValidatorPool(handles.validators, config.quality, self._engine.ask),
            results=NotByTheWorkflow(),
        )
        self._rows = RowEditor(
            gateway,
            self._engine,
            DeskClient(handles.desk),
            RowOutput(ByteStore(out)),
            config.engine.max_batch_size,
            config.bulk.patience_s,
        )

    async def __call__(self, table: pa.Table) -> pa.Table:
        loaded = [LoadedRow.from_arrow(table, index) for index in range(table.num_rows)]
        try:
            await asyncio.gather(*(self._rows.run(row) for row in loaded))
        except NotReady:
            try:
                await self._engine.check()
            except NotReady:
                logger.exception("the editor can't edit any more, another one takes its place")
                os._exit(1)  # what else would give the device back, and bring up a new one?
            raise
        return _NOTHING
