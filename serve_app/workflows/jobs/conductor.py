"""Takes a job through its steps to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from serve_app.errors import EditServiceError
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.durable import all_once, once
from serve_app.workflows.jobs.feed import Feed
from serve_app.workflows.jobs.insisting import insist
from serve_app.workflows.jobs.job import Job, JobState, StepRecord, error_record
from serve_app.workflows.jobs.plan import JobKind, OnFailure
from serve_app.workflows.jobs.step import StepRunner


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended."""

    state: JobState
    result: str | None = None
    error: dict[str, Any] | None = None


class Conductor:
    """What a run of a job does. ``ended`` is told when one has come to its end.

    After a death the run begins again from its first line. Steps that have ended are not run
    again, so that the same decisions are taken in the same order.
    """

    def __init__(
        self, catalogue: Catalogue, steps: StepRunner, feed: Feed, ended: Callable[[Job], None]
    ) -> None:
        self._catalogue = catalogue
        self._steps = steps
        self._feed = feed
        self._ended = ended

    async def conduct(self, job_id: str, run: int) -> None:
        """Run the job ``job_id`` to its end, unless it was cancelled or ``run`` is not its last."""
        job = await insist(lambda: self._catalogue.start(job_id, run))
        if job is None:
            return
        self._feed.stir(job_id)
        try:
            match job.kind:
                case JobKind.CHAIN:
                    ending = await self._chain(job)
                case JobKind.EDIT:
                    ending = await self._edits(job)
        except Exception:
            # A mistake of ours: the user gets an end to it, the log gets the rest.
            error = error_record(EditServiceError("An unexpected error occurred in this job."))
            await self._end(job, Ending(JobState.FAILED, error=error))
            raise
        if ending is not None:
            await self._end(job, ending)

    async def _end(self, job: Job, ending: Ending) -> None:
        await insist(
            lambda: self._catalogue.finish(
                job.id, job.run, ending.state, ending.result, ending.error
            )
        )
        self._feed.stir(job.id)
        self._ended(job)

    async def _chain(self, job: Job) -> Ending | None:
        """Each step edits the last accepted result, beside the references that came with it.

        ``None`` if the job is not wanted any more.
        """
        accepted: dict[int, str] = {}
        last, failure = None, None
        for index, step in enumerate(job.plan.steps):
            first = last if step.source is None else accepted.get(step.source)
            images = job.plan.images
            if first is not None:
                images = (first, *images[1:])
            elif step.source is not None:
                images = ()  # nothing came of the step that this one builds on
            await once(_name(index), partial(self._steps.run, job, index, images, accept=True))
            record = await insist(partial(self._catalogue.step, job.id, index))
            if record is None or not record.state.final:
                return None
            if record.state is JobState.SUCCEEDED:
                last = accepted[index] = str(record.result)
                continue
            failure = failure or _failure(record)
            if job.plan.on_failure is not OnFailure.SKIP:
                break
        lost = last is None or job.plan.on_failure is OnFailure.STOP
        if failure is not None and lost:
            return Ending(JobState.FAILED, last, failure)
        return Ending(JobState.SUCCEEDED, last)

    async def _edits(self, job: Job) -> Ending | None:
        """All steps, some at a time; the job has succeeded if any of them has.

        ``None`` if the job is not wanted any more.
        """
        steps = [
            (_name(index), partial(self._steps.run, job, index, step.images, accept=False))
            for index, step in enumerate(job.plan.steps)
        ]
        await all_once(steps, job.plan.at_once)
        records = await insist(lambda: self._catalogue.steps(job.id))
        if not records or not all(record.state.final for record in records):
            return None
        done = [record for record in records if record.state is JobState.SUCCEEDED]
        if not done:
            return Ending(JobState.FAILED, error=_failure(records[0]))
        return Ending(JobState.SUCCEEDED, done[0].result if len(records) == 1 else None)


def _name(index: int) -> str:
    return f"step {index}"


def _failure(record: StepRecord) -> dict[str, Any]:
    return {**(record.error or {}), "step": record.index}
