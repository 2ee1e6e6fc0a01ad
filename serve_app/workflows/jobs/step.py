"""One step of a job: an edit that is waited for as long as it takes, and run once."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from serve_app.config import JobsConfig
from serve_app.edits.request import EditRequest
from serve_app.edits.result import CacheStatus, Completed, EditEvent, EditOutcome, EditResult
from serve_app.errors import (
    DeadlineExceeded,
    EditFailed,
    EditRejected,
    EditServiceError,
    NotFound,
    ReplicaLost,
    RouterLost,
)
from serve_app.quality.annotation import Judged
from serve_app.quality.case import Case
from serve_app.quality.report import Verdict
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.feed import Feed
from serve_app.workflows.jobs.inputs import Inputs
from serve_app.workflows.jobs.insisting import insist
from serve_app.workflows.jobs.job import Job, JobState, StepRecord, error_record

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


class Edits(Protocol):
    """What runs edits; cancelling the generator stops the edit at its next denoising step."""

    def stream(
        self, request: EditRequest, partial_images: int
    ) -> AsyncGenerator[EditEvent, None]: ...

    async def validate(self, case: Case, picture: bool) -> Judged:
        """Judge an edit, whoever made it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What was made of a step's result: ``replacement`` is a result to take in its place."""

    replacement: str | None = None
    drift: dict[str, Any] | None = None
    outputs: tuple[dict[str, Any], ...] = ()


Settle = Callable[[EditOutcome], Awaitable[Settled]]
"""Works on the result of a step before the step ends; what it fails with fails the step."""


class _NotWanted(Exception):
    """The job was cancelled, or retried since: this run of it must do nothing any more."""


class StepRunner:
    """Runs steps of all jobs, so many at a time that online edits find a place, too."""

    def __init__(
        self, catalogue: Catalogue, inputs: Inputs, edits: Edits, feed: Feed, config: JobsConfig
    ) -> None:
        self._catalogue = catalogue
        self._inputs = inputs
        self._edits = edits
        self._feed = feed
        self._patience_s = config.patience_s
        self._places = asyncio.Semaphore(config.edits)
        self._running: defaultdict[str, set[asyncio.Task[StepRecord]]] = defaultdict(set)

    async def run(
        self,
        job: Job,
        index: int,
        image_ids: Sequence[str],
        *,
        accept: bool,
        settle: Settle | None = None,
    ) -> None:
        """Run a step of ``job`` on ``image_ids``, unless it has ended already.

        With ``accept`` a rejected result is a failure. How it ended is in the catalogue, where a
        step of a job that is not wanted any more does not end.
        """
        with suppress(_NotWanted):
            await self._run(job, index, image_ids, accept, settle)
        self._feed.over(job.id, index)

    async def _run(
        self,
        job: Job,
        index: int,
        image_ids: Sequence[str],
        accept: bool,
        settle: Settle | None,
    ) -> None:
        known = await insist(lambda: self._catalogue.step(job.id, index))
        if known is None or known.state.final:
            return
        started = replace(known, state=JobState.RUNNING, started_at=time.time())
        begun = time.monotonic()
        try:
            ended = await self._cancellable(
                job.id, self._started(job, started, image_ids, accept, settle)
            )
        except EditServiceError as error:
            ended = replace(started, state=JobState.FAILED, error=error_record(error))
        ended = replace(ended, finished_at=time.time(), seconds=round(time.monotonic() - begun, 4))
        await self._put(job, ended)

    def cancel(self, job_id: str) -> None:
        """Stop all running steps of a job at their next denoising step."""
        for task in self._running.get(job_id, ()):
            task.cancel()

    async def _put(self, job: Job, record: StepRecord) -> None:
        if not await insist(lambda: self._catalogue.put_step(job.id, job.run, record)):
            raise _NotWanted
        self._feed.stir(job.id)

    async def _cancellable(self, job_id: str, work: Coroutine[Any, Any, StepRecord]) -> StepRecord:
        task = asyncio.create_task(work)
        self._running[job_id].add(task)
        try:
            return await task
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if this is not None and this.cancelling():
                task.cancel()
                raise  # the process is about to end
            raise _NotWanted from None
        finally:
            self._running[job_id].discard(task)
            if not self._running[job_id]:
                del self._running[job_id]

    async def _started(
        self,
        job: Job,
        record: StepRecord,
        image_ids: Sequence[str],
        accept: bool,
        settle: Settle | None,
    ) -> StepRecord:
        # Within what a cancellation stops: one that comes before this is kept ends it here, one
        # that comes after finds it running.
        await self._put(job, record)
        outcome = await self._patiently(job, record, image_ids)
        ended = _ended(record, outcome, accept=accept)
        if settle is None:
            return ended
        return _settled(ended, await insist(lambda: settle(outcome)))

    async def _patiently(
        self, job: Job, record: StepRecord, image_ids: Sequence[str]
    ) -> EditOutcome:
        """Edit; while the service is full or partly away, wait and try again."""
        patient_until: float | None = None
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with self._places:
                    return await self._edit(job, record, image_ids)
            except EditServiceError as error:
                # The time in our own queue is nobody's refusal.
                patient_until = patient_until or time.monotonic() + self._patience_s
                if not _may_pass(error) or time.monotonic() > patient_until:
                    raise
                wait_s = max(pause_s, error.retry_after_s or 0.0) * random.uniform(0.8, 1.2)
                logger.info("a step of %s waits %.1f s: %s", job.id, wait_s, error.code)
            await asyncio.sleep(_at_most_left(wait_s, job))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _edit(self, job: Job, record: StepRecord, image_ids: Sequence[str]) -> EditOutcome:
        step = job.plan.steps[record.index]
        if not image_ids:
            raise NotFound("The step that this one builds on has no accepted result.", "input")
        request = await self._inputs.request(job.plan, step, image_ids, record.variation)
        left_s = job.left_s
        if left_s is not None:
            if left_s <= 0:
                raise deadline_passed()
            request = replace(request, deadline_s=left_s)
        async with aclosing(self._edits.stream(request, job.plan.partial_images)) as events:
            async for event in events:
                if isinstance(event, Completed):
                    return event.outcome
                self._feed.tell(job.id, record.index, event)
        raise EditFailed("The edit ended without a result.")


def deadline_passed() -> DeadlineExceeded:
    """Why nothing more is done for a job."""
    return DeadlineExceeded("The job's `deadline_s` passed before it was done.", "deadline_s")


def _may_pass(error: EditServiceError) -> bool:
    """Whether trying again may help, and hurts nobody: what kills editors must stop at two."""
    return error.retryable and (isinstance(error, RouterLost) or not isinstance(error, ReplicaLost))


def _at_most_left(wait_s: float, job: Job) -> float:
    return wait_s if job.left_s is None else max(0.0, min(wait_s, job.left_s))


def _ended(record: StepRecord, outcome: EditOutcome, *, accept: bool) -> StepRecord:
    result = outcome.result
    rejected = accept and result.verdict == Verdict.FAIL
    return replace(
        record,
        state=JobState.FAILED if rejected else JobState.SUCCEEDED,
        error=error_record(_rejection(result)) if rejected else None,
        result=result.id,
        verdict=result.verdict,
        attempts=result.attempts,
        seed=result.seed,
        made=outcome.cache in (CacheStatus.MISS, CacheStatus.OFF),
    )


def _settled(record: StepRecord, settled: Settled) -> StepRecord:
    record = replace(record, drift=settled.drift, outputs=settled.outputs)
    if settled.replacement is None:
        return record
    return replace(record, result=settled.replacement, edited=record.result)


def _rejection(result: EditResult) -> EditRejected:
    reasons = result.metadata.get("report", {}).get("reasons", [])
    why = f": {reasons[0]}" if reasons else "."
    return EditRejected(f"The result did not pass its checks{why}")
