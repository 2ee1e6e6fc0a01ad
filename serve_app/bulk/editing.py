"""One loaded row all the way: a place in the batch, the edit, its files, its line in the ledger."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Protocol, TypeVar

from serve_app.bulk.desk import Turn, died_over
from serve_app.bulk.loading import LoadedRow
from serve_app.bulk.output import RowOutput
from serve_app.bulk.record import RowRecord, failed_record, succeeded_record
from serve_app.bulk.row import Row
from serve_app.bulk.seats import Seats
from serve_app.edits.request import EditRequest
from serve_app.edits.result import EditOutcome
from serve_app.errors import EditFailed, EditServiceError, NotReady
from serve_app.workflows.jobs.insisting import patiently

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Service(Protocol):
    """Makes edits, as ``workflows.gateway.EditGateway`` does."""

    async def edit(self, request: EditRequest) -> EditOutcome: ...


class RowDesk(Protocol):
    """The desk of the run, wherever it is."""

    async def begin(self, row: int, *, alone: bool = False) -> Turn: ...

    async def end(self, record: RowRecord) -> None: ...


class Companies(Protocol):
    """Tells who can share a batch, and whether there is still a device, as an engine does."""

    def company(self, request: EditRequest) -> Hashable: ...

    async def check(self) -> None: ...


class RowEditor:
    """Edits the rows that one editor is given; ``together`` of them are in its batch at once."""

    def __init__(
        self,
        service: Service,
        engine: Companies,
        desk: RowDesk,
        output: RowOutput,
        together: int,
        patience_s: float,
    ) -> None:
        self._service = service
        self._engine = engine
        self._desk = desk
        self._output = output
        self._seats = Seats(together)
        self._patience_s = patience_s

    async def run(self, loaded: LoadedRow) -> None:
        """Edit a row and commit it; returns when it is durable, or when it is not its turn.

        What is wrong with the row is committed, too. Raises ``NotReady`` if the output can't be
        written, nothing can judge, or this editor can't edit any more: the row has not ended.
        """
        row = loaded.row
        try:
            if loaded.error is not None:
                await self._refuse(row, *loaded.error)
                return
            request = loaded.request()
            async with self._seats.taken(self._engine.company(request)):
                turn = await self._turn(row, request)
            if turn is Turn.ALONE:
                async with self._seats.alone():
                    turn = await self._turn(row, request, alone=True)
            if turn is Turn.GIVE_UP:
                lost = died_over()
                await self._end(failed_record(row, lost.code, lost.message))
        except NotReady:
            raise
        except EditServiceError as error:
            await self._refuse(row, error.code, error.message)
        except Exception:  # one row must not take the others with it
            logger.exception("row %d could not be edited", row.number)
            failed = EditFailed("The edit failed in a way it should not; the log says more.")
            await self._refuse(row, failed.code, failed.message)

    async def _turn(self, row: Row, request: EditRequest, *, alone: bool = False) -> Turn:
        """Edit and commit the row if it is its turn; whose it is otherwise."""
        turn = await self._desk.begin(row.number, alone=alone)
        if turn is Turn.GO:
            await self._end(await self._edited(row, request))
        return turn

    async def _refuse(self, row: Row, code: str, message: str) -> None:
        if await self._desk.begin(row.number) is not Turn.SKIP:
            await self._end(failed_record(row, code, message))

    async def _edited(self, row: Row, request: EditRequest) -> RowRecord:
        began = time.monotonic()
        try:
            outcome = await self._patiently(lambda: self._service.edit(request), "a row")
        except EditServiceError as error:
            await self._engine.check()  # or it is the device, and no fault of the row's
            if isinstance(error, NotReady):
                raise
            return failed_record(row, error.code, error.message)
        image, record = await self._patiently(
            lambda: asyncio.to_thread(self._output.put, row.id, outcome.result), "a result"
        )
        return succeeded_record(row, outcome, time.monotonic() - began, image, record)

    async def _end(self, record: RowRecord) -> None:
        await self._patiently(lambda: self._desk.end(record), "the ledger")

    async def _patiently(self, call: Callable[[], Awaitable[T]], what: str) -> T:
        return await patiently(call, self._patience_s, lambda: None, what)
