"""What a run has one or a few of, as Ray actors: the desk and the validators.

They construct, delegate and translate.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import psutil
import ray

from serve_app.bulk.desk import Desk, DeskOptions, Granted, Stopped, Tally, Turn
from serve_app.bulk.ledger import Ledger
from serve_app.bulk.record import RowRecord
from serve_app.config import QualityConfig
from serve_app.deployments.calls import call
from serve_app.edits.question import Ask, Question, Reply
from serve_app.errors import EditServiceError, NoAnswer, NotReady, ReplicaLost
from serve_app.quality.annotation import Judged
from serve_app.quality.case import Case
from serve_app.quality.judges import open_judge
from serve_app.quality.opinion import with_opinion
from serve_app.quality.repair import Mended
from serve_app.storage.byte_store import ByteStore
from serve_app.workflows.in_process import ThreadedJudge
from serve_app.workflows.jobs.insisting import patiently

_BY_THE_EDITORS = "text_encoder"
"""The judge that asks an editor's own model, so that editors ask it themselves."""

_VALIDATORS_S = 2.0
"""Pause before validators are asked again, seconds."""


class DeskActor:
    """The desk of a run, beside its ``driver`` (a process id) and not longer there than that.

    Ray takes seconds to end what a killed driver leaves, and by then another run may have begun
    to do what this one would still commit.
    """

    def __init__(self, driver: int, out: str, options: DeskOptions) -> None:
        self._driver = psutil.Process(driver)
        self._desk = Desk(Ledger(ByteStore(out)), options)

    async def take(self, rows: Sequence[int]) -> Granted | None:
        return await self._desk.take(rows)

    async def begin(self, row: int, alone: bool) -> Turn:
        return self._desk.begin(row, alone=alone)

    async def end(self, record: RowRecord) -> None:
        self._leave_with_the_driver()
        await self._desk.end(record)

    async def stop(self, why: Stopped) -> None:
        self._desk.stop(why)

    async def give_up(self, trouble: EditServiceError) -> None:
        self._desk.give_up(trouble)

    async def done(self) -> bytes:
        return self._desk.done()

    async def tally(self) -> Tally:
        return self._desk.tally()

    def _leave_with_the_driver(self) -> None:
        try:
            there = self._driver.is_running() and self._driver.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            there = False
        if not there:
            os._exit(1)


class DeskClient:
    """The desk behind a handle, as ``editing.RowDesk``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def begin(self, row: int, *, alone: bool = False) -> Turn:
        """Whether ``row`` is to be edited now."""
        return Turn(await call("ledger", self._handle.begin.remote(row, alone)))

    async def end(self, record: RowRecord) -> None:
        """Commit how a row ended."""
        await call("ledger", self._handle.end.remote(record))

    async def give_up(self, trouble: EditServiceError) -> None:
        """Stop the run: no row can end."""
        await call("ledger", self._handle.give_up.remote(trouble))


class ValidatorActor:
    """Judges attempts on CPUs; what keeps it from that is told to the ``desk``."""

    def __init__(self, config: QualityConfig, desk: Any) -> None:
        if config.judge.kind == _BY_THE_EDITORS:
            judge = config.judge.model_copy(update={"kind": "none"})
            config = config.model_copy(update={"judge": judge})
        try:
            self._judge = ThreadedJudge.open(config, _nobody)
        except EditServiceError as error:
            ray.get(desk.give_up.remote(error))
            raise

    async def mend(self, case: Case) -> Mended:
        return await self._judge.mend(case)

    async def judge(self, case: Case, picture: bool) -> Judged:
        return await self._judge.judge(case, picture)


class ValidatorPool:
    """The validators behind their handles, as the workflow's ``Judge``: the least busy is asked.

    ``ask`` reaches the text encoder of the editor that has this pool. Validators that are away
    are waited for, ``patience_s`` seconds: an edit that is made must not be made again for them.
    """

    def __init__(
        self, handles: Sequence[Any], config: QualityConfig, ask: Ask, patience_s: float
    ) -> None:
        self._busy = dict.fromkeys(handles, 0)
        asks = config.judge.kind == _BY_THE_EDITORS
        self._own = open_judge(config, ask) if asks else None
        self._opinion_s = config.judge.patience_s
        self._patience_s = patience_s

    async def mend(self, case: Case) -> Mended:
        """Judge, repair what can be, and judge again; raises ``NotReady`` if none can."""
        case = await with_opinion(case, self._own, self._opinion_s)
        mended: Mended = await self._patiently(lambda handle: handle.mend.remote(case))
        return mended

    async def judge(self, case: Case, picture: bool) -> Judged:
        """Judge, and draw what was found if ``picture``; raises ``NotReady`` if none can."""
        case = await with_opinion(case, self._own, self._opinion_s)
        judged: Judged = await self._patiently(lambda handle: handle.judge.remote(case, picture))
        return judged

    async def _patiently(self, send: Callable[[Any], Any]) -> Any:
        return await patiently(
            lambda: self._by_any(send), self._patience_s, lambda: None, "judging a row"
        )

    async def _by_any(self, send: Callable[[Any], Any]) -> Any:
        for handle in sorted(self._busy, key=lambda one: self._busy[one]):
            self._busy[handle] += 1
            try:
                return await call("validator", send(handle))
            except ReplicaLost:
                continue  # the next one
            finally:
                self._busy[handle] -= 1
        raise NotReady("No validator answers.", None, _VALIDATORS_S)


async def _nobody(_question: Question) -> Reply:
    raise NoAnswer("Validators of bulk runs ask nobody.")
