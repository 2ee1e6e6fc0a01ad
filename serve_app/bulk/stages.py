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
from itertools import islice
from typing import Any

import pyarrow as pa
import ray
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from serve_app.bulk.actors import DeskClient, ValidatorPool
from serve_app.bulk.editing import RowEditor
from serve_app.bulk.loading import LOADED, LoadedRow, RowLoader, row_facts, row_of
from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.output import NotByTheWorkflow, RowOutput
from serve_app.bulk.pending import Pending
from serve_app.bulk.row import Row
from serve_app.bulk.run_record import RunRecord
from serve_app.config import ServiceConfig
from serve_app.deployments.cache_client import CacheClient
from serve_app.errors import ConfigurationError, EditServiceError, NotReady
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
        rows = pending.rows(ByteStore(out))
        asked: list[Row] = []
        try:
            while asked := [*asked, *islice(rows, _ASKED_FOR - len(asked))]:
                granted = ray.get(desk.take.remote([row.number for row in asked]))
                if granted is None:
                    return
                for row in asked[: granted.looked_at]:
                    if row.number in granted.rows:
                        yield pa.table({"facts": [json.dumps(row_facts(row))]})
                del asked[: granted.looked_at]
        except EditServiceError as error:
            ray.get(desk.give_up.remote(error))

    return read


class LoadRows:
    """Reads and decodes what rows name."""

    def __init__(self, root: str, config: ServiceConfig, desk: Any) -> None:
        self._loader = RowLoader(InputRoot(root), config.limits, config.bulk.patience_s)
        self._desk = DeskClient(desk)

    async def __call__(self, table: pa.Table) -> pa.Table:
        rows = [row_of(json.loads(facts)) for facts in table["facts"].to_pylist()]
        try:
            loaded = await asyncio.gather(*(self._loader.load(row) for row in rows))
        except NotReady as error:
            await self._desk.give_up(error)
            return LOADED.empty_table()
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
        self._desk = DeskClient(handles.desk)
        try:
            _require_shared(out)
            self._engine = _engine(config)
        except EditServiceError as error:
            # Ray would try again and again, and not say why.
            ray.get(handles.desk.give_up.remote(error))
            raise
        gateway = assemble(
            config,
            self._engine,
            SharedCache(config.cache, config.storage.folder)
            if handles.cache is None
            else CacheClient(handles.cache),
            judge=ValidatorPool(
                handles.validators, config.quality, self._engine.ask, config.bulk.patience_s
            ),
            results=NotByTheWorkflow(),
        )
        self._rows = RowEditor(
            gateway,
            self._engine,
            self._desk,
            RowOutput(ByteStore(out)),
            config.engine.max_batch_size,
            config.bulk.patience_s,
        )

    async def __call__(self, table: pa.Table) -> pa.Table:
        loaded = [LoadedRow.from_arrow(table, index) for index in range(table.num_rows)]
        try:
            await asyncio.gather(*(self._rows.run(row) for row in loaded))
        except NotReady as error:
            await self._leave_if_broken()
            await self._desk.give_up(error)
        return _NOTHING

    async def _leave_if_broken(self) -> None:
        try:
            await self._engine.check()
        except NotReady:
            logger.exception("this editor can't edit any more, another one takes its place")
            os._exit(1)  # what else gives the device back, and makes Ray start another?


def _require_shared(out: str) -> None:
    """Raise ``ConfigurationError`` if this node has another folder than the driver's."""
    if RunRecord.read(ByteStore(out)) is None:
        raise ConfigurationError(
            "The output folder is not there on every node of the cluster. Choose one that all "
            "nodes share, or object storage.",
            "out",
        )


def _engine(config: ServiceConfig) -> Any:
    from serve_app.engine.engine import Engine

    engine = Engine.load(config.model, config.engine, ask=config.asks_model)
    engine.warm_up()
    return engine
