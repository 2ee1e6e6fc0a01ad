"""One step of a job: an edit that is waited for as long as it takes, and run once."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
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
)
from serve_app.quality.annotation import Judged
from serve_app.quality.case import Case
from serve_app.quality.report import Verdict
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.feed import Feed
from serve_app.workflows.jobs.inputs import Inputs
from serve_app.workflows.jobs.insisting import insist, patiently
from serve_app.workflows.jobs.job import Job, JobState, StepRecord, error_record

_SETTLED_AT_ONCE = 2
"""Of all jobs: each holds several pictures, and works on them with a core."""


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

    replacement: EditResult | None = None
    drift: dict[str, Any] | None = None
    outputs: tuple[dict[str, Any], ...] = ()


Settle = Callable[[EditResult], Awaitable[Settled]]
"""Works on the result of a step before the step ends; what it fails with fails the step."""


class NotWanted(Exception):
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
        self._settling = asyncio.Semaphore(_SETTLED_AT_ONCE)
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
        with suppress(NotWanted):
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
                job.id, self._worked(job, started, image_ids, accept, settle)
            )
        except EditServiceError as error:
            ended = replace(started, state=JobState.FAILED, error=error_record(error))
        ended = replace(ended, finished_at=time.time(), seconds=round(time.monotonic() - begun, 4))
        await self._put(job, ended)

    def cancel(self, job_id: str) -> None:
        """Stop all running steps of a job at their next denoising step."""
        for task in self._running.get(job_id, ()):
            task.cancel()

    async def _put(self, job: Job, record: StepRecord, *, told: bool = True) -> None:
        put = partial(self._catalogue.put_step, job.id, job.run, record, told=told)
        if not await insist(put):
            raise NotWanted
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
            raise NotWanted from None
        finally:
            self._running[job_id].discard(task)
            if not self._running[job_id]:
                del self._running[job_id]

    async def _worked(
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
        result = await self._made_before(record)
        if result is None:
            outcome = await self._patiently(job, record, image_ids)
            result = outcome.result
            record = _with_result(record, outcome)
            if settle is not None:
                # A death while it is settled costs no edit, and is nobody's news.
                await self._put(job, record, told=False)
        if settle is not None:
            async with self._settling:
                record = _settled(record, await settle(result))
        return _ended(record, result, accept=accept)

    async def _made_before(self, record: StepRecord) -> EditResult | None:
        """What this step's edit came to, if only what is made of it is left to do."""
        known = record.result
        return None if known is None else await insist(lambda: self._inputs.result(known))

    async def _patiently(
        self, job: Job, record: StepRecord, image_ids: Sequence[str]
    ) -> EditOutcome:
        async def edit() -> EditOutcome:
            async with self._places:
                return await self._edit(job, record, image_ids)

        what = f"a step of {job.id}"
        return await patiently(edit, self._patience_s, lambda: job.left_s, what)

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


def _with_result(record: StepRecord, outcome: EditOutcome) -> StepRecord:
    result = outcome.result
    return replace(
        record,
        result=result.id,
        verdict=result.verdict,
        attempts=result.attempts,
        seed=result.seed,
        made=outcome.cache in (CacheStatus.MISS, CacheStatus.OFF),
    )


def _ended(record: StepRecord, result: EditResult, *, accept: bool) -> StepRecord:
    rejected = accept and record.verdict == Verdict.FAIL
    return replace(
        record,
        state=JobState.FAILED if rejected else JobState.SUCCEEDED,
        error=error_record(_rejection(result)) if rejected else None,
    )


def _settled(record: StepRecord, settled: Settled) -> StepRecord:
    record = replace(record, drift=settled.drift, outputs=settled.outputs)
    if (new := settled.replacement) is None:
        return record
    return replace(record, result=new.id, verdict=new.verdict, edited=record.result)


def _rejection(result: EditResult) -> EditRejected:
    reasons = result.metadata.get("report", {}).get("reasons", [])
    why = f": {reasons[0]}" if reasons else "."
    return EditRejected(f"The result did not pass its checks{why}")
