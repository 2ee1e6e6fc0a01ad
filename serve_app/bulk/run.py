"""A bulk run from its manifest to its report; the same call goes on where another ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import pyarrow as pa

from serve_app.bulk.desk import NO_LIMIT, MaxErrors, Stopped, Tally
from serve_app.bulk.holding import hold
from serve_app.bulk.interrupting import Interrupt
from serve_app.bulk.ledger import read_ledger
from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.pending import Numbers, Pending, RowNumbers, row_numbers
from serve_app.bulk.pipeline import Pipeline, Work, connected, lacking
from serve_app.bulk.preparing import Order, prepare
from serve_app.bulk.progress import RecentRate, RunProgress
from serve_app.bulk.record import Status
from serve_app.bulk.report import ReportFacts, write_report
from serve_app.bulk.results import write_results
from serve_app.bulk.run_record import RunRecord
from serve_app.bulk.summary import Summary, summarised
from serve_app.config import ServiceConfig, StorageConfig
from serve_app.errors import EditServiceError
from serve_app.storage.byte_store import ByteStore

logger = logging.getLogger(__name__)

_LOOK_S = 0.5
"""How often progress is looked at."""

_ROW_S = 24 * 3600.0
"""The longest that a row may take, seconds: only one that is stuck does."""

Told = Callable[[RunProgress], None]


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a run is to be made; none of it changes what comes out.

    ``limit`` is the most rows of this call. ``address`` is a Ray cluster's, or ``None`` to start
    Ray here. ``command`` is shown to go on with.
    """

    command: str
    max_errors: MaxErrors = NO_LIMIT
    retry_failed: bool = False
    limit: int | None = None
    address: str | None = None


def run_bulk(config: ServiceConfig, order: Order, wishes: Wishes, told: Told) -> Summary:
    """Check, run what is left, and write results and report.

    Raises:
        UnusableManifest: Before anything was run; ``InvalidRows`` if it is about some rows.
        RunRefused: The output belongs to another run, or to a process that lives.
        ConfigurationError: This machine can't run what is configured.
        NotReady: The output can't be written; what has ended is kept.
    """
    order = order.absolute()
    store = ByteStore(order.out)
    with hold(store, config.bulk.hold_s) as held:
        return _Run(store, held.check, config, order, wishes, told).to_its_end()


class _Run:
    def __init__(
        self,
        store: ByteStore,
        check_held: Callable[[], None],
        config: ServiceConfig,
        order: Order,
        wishes: Wishes,
        told: Told,
    ) -> None:
        self._store = store
        self._check_held = check_held
        # The cache of a run is its own; what a service has stored plays no part.
        cache = config.cache.model_copy(update={"disk_bytes": 0})
        # Nobody waits for a row: further attempts must not depend on how full the batch is.
        limits = config.limits.model_copy(update={"request_s": _ROW_S})
        self._config = config.model_copy(
            update={"cache": cache, "limits": limits, "storage": StorageConfig()}
        )
        self._order = order
        self._wishes = wishes
        self._told = told
        self._rate = RecentRate()
        self._progress = RunProgress("checking the manifest", 0)

    def to_its_end(self) -> Summary:
        self._tell()
        record = prepare(
            self._store,
            self._order,
            self._config,
            self._checking,
        )
        self._tell(phase="reading what has ended")
        numbers, records = row_numbers(self._store), read_ledger(self._store)
        pending = self._pending(numbers, records)
        stopped: Stopped | None = None
        if len(pending):
            again = len(pending) if self._wishes.retry_failed else 0
            before = records.num_rows - again
            self._tell(total=before + len(pending), ended_before=before)
            try:
                stopped = self._run(pending)
            except EditServiceError as trouble:
                self._leave(record, trouble)
            records = read_ledger(self._store)
        return self._written(record, records, stopped)

    def _leave(self, record: RunRecord, trouble: EditServiceError) -> NoReturn:
        """Write what has ended, if that can be done, and say what kept the rest from it."""
        try:
            self._written(record, read_ledger(self._store), Stopped.TROUBLE)
        except EditServiceError as error:
            logger.warning("the results can't be written either: %s", error.code)
        raise trouble

    def _checking(self, rows: int) -> None:
        self._check_held()
        self._tell(phase=f"checking the manifest, {rows:,} rows")

    def _pending(self, numbers: RowNumbers, records: pa.Table) -> Pending:
        limit = self._wishes.limit
        ended = _numbers(records)
        if not self._wishes.retry_failed:
            return Pending.of(numbers, ended, limit=limit)
        failed = ended[np.asarray(records["status"].to_pylist()) == str(Status.FAILED)]
        return Pending.of(numbers, ended, only=failed, limit=limit)

    def _run(self, pending: Pending) -> Stopped | None:
        self._tell(phase="starting Ray")
        interrupt = Interrupt()
        with connected(self._config, self._wishes.address), interrupt.watched():
            while True:
                tally, left = self._pass(pending, interrupt)
                if tally.stopped is not None or not len(left) or len(left) == len(pending):
                    return tally.stopped
                # Ray lost some on the way: they have not ended, and so they are run now.
                logger.warning("%d rows got lost on the way", len(left))
                pending = left

    def _pass(self, pending: Pending, interrupt: Interrupt) -> tuple[Tally, Pending]:
        work = Work(self._order.root, self._order.out, pending, self._wishes.max_errors)
        pipeline = Pipeline(self._config, work)
        short = lacking(self._config)
        self._tell(phase=f"waiting for {short}" if short else "loading the model")
        try:
            return self._watched(pipeline, interrupt), pipeline.left()
        finally:
            pipeline.close()

    def _watched(self, pipeline: Pipeline, interrupt: Interrupt) -> Tally:
        stopping = False
        while not pipeline.ended(_LOOK_S):
            self._check_held()
            if interrupt.wished and not stopping:
                stopping = True
                pipeline.stop()
            tally = pipeline.tally()
            self._show(tally)
            if tally.trouble is not None and not tally.in_flight:
                break
        tally = pipeline.tally()
        self._show(tally)
        if tally.trouble is not None:
            raise tally.trouble
        return tally

    def _show(self, tally: Tally) -> None:
        if tally.began_at is None:
            return
        elapsed_s = time.time() - tally.began_at
        ended = tally.succeeded + tally.failed
        self._rate.add(elapsed_s, ended)
        self._tell(
            phase="editing" if tally.stopped is None else "finishing the edits in flight",
            succeeded=tally.succeeded,
            failed=tally.failed,
            verdicts=tally.verdicts,
            in_flight=tally.in_flight,
            elapsed_s=elapsed_s,
            rate=self._rate.rate,
            stopping=tally.stopped is not None,
        )

    def _written(self, record: RunRecord, records: pa.Table, stopped: Stopped | None) -> Summary:
        summary = summarised(record, records, stopped)
        if summary.is_written(self._store):
            return summary
        self._check_held()
        self._tell(phase="writing the results", in_flight=0)
        write_results(self._store, records)
        self._tell(phase="writing the report")
        facts = ReportFacts(
            title=f"Bulk run of {self._order.source.place}",
            manifest=self._order.source.place,
            rows=summary.rows,
            resume=self._wishes.command,
            limits=self._config.limits,
            quality=self._config.quality,
        )
        write_report(self._store, InputRoot(self._order.root), facts)
        summary.write(self._store)
        return summary

    def _tell(self, **changes: object) -> None:
        self._progress = replace(self._progress, **changes)  # type: ignore[arg-type]
        self._told(self._progress)


def _numbers(records: pa.Table) -> Numbers:
    numbers: Numbers = records["row"].to_numpy()
    return numbers
