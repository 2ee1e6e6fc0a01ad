"""All jobs as users read them: each change is one transaction with its events.

Whoever runs a job writes with the number of its ``run``: a run that was cancelled, or retried
since, can't write any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from serve_app.errors import NotFound, Overloaded, WrongState
from serve_app.workflows.jobs import analyses, events, idempotency, listing, outputs, rows
from serve_app.workflows.jobs.database import Database
from serve_app.workflows.jobs.events import JobEvent, state_event
from serve_app.workflows.jobs.idempotency import IdempotencyKey
from serve_app.workflows.jobs.job import Job, JobState, Overview, StepRecord
from serve_app.workflows.jobs.listing import JobPage, JobQuery
from serve_app.workflows.jobs.outputs import JobOutputs
from serve_app.workflows.jobs.plan import JobKind
from serve_app.workflows.jobs.tables import (
    JOBS,
    OVERVIEW,
    STEPS,
    TABLES,
    job_row,
    overview_of,
    step_row,
)

_LATER_S = 60.0


class Catalogue:
    """Jobs by id. All methods raise ``NotReady`` where the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.create(TABLES)

    async def add(self, job: Job, most_queued: int, key: IdempotencyKey | None = None) -> str:
        """Accept ``job``, unless ``key`` was given before: return the id of the accepted one.

        Raises ``IdempotencyKeyReused`` if ``key`` was given with another request, and
        ``Overloaded`` where ``most_queued`` jobs are queued.
        """

        def work(connection: sa.Connection) -> str:
            if key is not None:
                if known := idempotency.known_job(connection, key):
                    return known
                idempotency.remember(connection, key, job.id)
            if rows.queued(connection, most_queued) >= most_queued:
                raise Overloaded("Too many jobs are queued. Send it again later.", None, _LATER_S)
            connection.execute(sa.insert(JOBS).values(job_row(job)))
            connection.execute(sa.insert(STEPS), [step_row(job.id, step) for step in job.steps])
            rows.refer(connection, job.id, job.plan.inputs, owned=True)
            kept = {image for step in job.steps for image in step.images}
            rows.refer(connection, job.id, kept, owned=False)
            events.record(connection, job.id, [state_event(JobState.QUEUED, job.created_at)])
            return job.id

        try:
            return await self._database.transact(work)
        except IntegrityError:
            # A twin with the same key was faster: now it is known.
            return await self._database.transact(work)

    async def job(self, job_id: str) -> Job:
        """A job with all of its steps; raises ``NotFound``."""
        return await self._database.read(lambda connection: rows.job(connection, job_id))

    async def find(self, job_id: str) -> Job | None:
        """A job with all of its steps; ``None`` if it was erased."""
        try:
            return await self.job(job_id)
        except NotFound:
            return None

    async def overview(self, job_id: str) -> Overview:
        """A job without its plan and steps; raises ``NotFound``."""
        return await self._database.read(lambda connection: rows.overview(connection, job_id))

    async def has(self, job_id: str) -> bool:
        """Whether there is such a job."""
        wanted = sa.select(JOBS.c.id).where(JOBS.c.id == job_id)
        return await self._database.read(lambda c: c.execute(wanted).first() is not None)

    async def page(self, query: JobQuery) -> JobPage:
        """A page of the list."""
        return await self._database.read(lambda connection: listing.page(connection, query))

    async def unfinished(self) -> list[Overview]:
        """All jobs that are owed work, the oldest first."""
        wanted = sa.select(*OVERVIEW).where(JOBS.c.state.in_(rows.UNFINISHED)).order_by(JOBS.c.id)
        return await self._overviews(wanted)

    async def unfinished_by_state(self) -> dict[str, int]:
        """How many jobs are queued and running; a state without any is left out."""
        wanted = (
            sa.select(JOBS.c.state, sa.func.count())
            .where(JOBS.c.state.in_(rows.UNFINISHED))
            .group_by(JOBS.c.state)
        )
        return await self._database.read(lambda c: dict(c.execute(wanted).all()))

    async def finished_before(self, moment: float) -> list[str]:
        """Ids of the jobs that ended before ``moment``, seconds since 1970."""
        wanted = sa.select(JOBS.c.id).where(JOBS.c.finished_at < moment)
        return await self._database.read(lambda c: list(c.execute(wanted).scalars()))

    async def events_after(self, job_id: str, last_id: int) -> list[JobEvent]:
        """The kept events of a job above ``last_id``."""
        return await self._database.read(lambda c: events.after(c, job_id, last_id))

    async def untold(self) -> list[Overview]:
        """Ended jobs whose webhook was not heard yet."""
        wanted = sa.select(*OVERVIEW).where(
            JOBS.c.state.not_in(rows.UNFINISHED),
            JOBS.c.webhook.is_not(None),
            JOBS.c.webhook["state"].as_string().in_(("waiting", "retrying")),
        )
        return await self._overviews(wanted)

    async def outputs(self, job_id: str) -> JobOutputs:
        """What was made of a job's results; raises ``NotFound`` where there is nothing yet."""

        def work(connection: sa.Connection) -> JobOutputs:
            rows.overview(connection, job_id)
            return outputs.of(connection, job_id)

        return await self._database.read(work)

    async def add_analysis(self, job_id: str, analysis: dict[str, Any]) -> None:
        """Keep an analysis of a test with the variants that it is about.

        Raises ``NotFound``, or ``InvalidRequest`` if they are not the job's.
        """
        await self._database.transact(lambda c: analyses.add(c, rows.job(c, job_id), analysis))

    async def analyses(self, job_id: str) -> list[dict[str, Any]]:
        """All analyses of a job's variants, the oldest first; raises ``NotFound``."""

        def work(connection: sa.Connection) -> list[dict[str, Any]]:
            rows.overview(connection, job_id)
            return analyses.of(connection, job_id)

        return await self._database.read(work)

    # For whoever runs a job.

    async def run_again(self, job_id: str, run: int) -> int:
        """Give an unfinished job whose ``run`` was lost the next one; return it, or ``run``."""

        def work(connection: sa.Connection) -> int:
            this = (JOBS.c.id == job_id, JOBS.c.run == run, JOBS.c.state.in_(rows.UNFINISHED))
            moved = connection.execute(sa.update(JOBS).where(*this).values(run=run + 1))
            return run + moved.rowcount

        return await self._database.transact(work)

    async def start(self, job_id: str, run: int) -> Job | None:
        """The job, which is running from now on; ``None`` if this run is not wanted any more."""

        def work(connection: sa.Connection) -> Job | None:
            if not rows.is_on(connection, job_id, run):
                return None
            now = time.time()
            begun = connection.execute(
                sa.update(JOBS)
                .where(JOBS.c.id == job_id, JOBS.c.state == str(JobState.QUEUED))
                .values(state=str(JobState.RUNNING), started_at=now)
            )
            if begun.rowcount:
                events.record(connection, job_id, [state_event(JobState.RUNNING, now)])
            return rows.job(connection, job_id)

        return await self._database.transact(work)

    async def step(self, job_id: str, index: int) -> StepRecord | None:
        """How far a step has come; ``None`` if the job was erased."""
        return await self._database.read(lambda c: rows.step(c, job_id, index))

    async def steps(self, job_id: str) -> tuple[StepRecord, ...]:
        """How far all steps have come; none if the job was erased."""
        return await self._database.read(lambda c: rows.steps(c, job_id))

    async def put_step(
        self, job_id: str, run: int, record: StepRecord, *, told: bool = True
    ) -> bool:
        """Keep how far a step has come; false if this run is not wanted any more.

        Unless it is ``told``, nobody who watches sees it.
        """

        def work(connection: sa.Connection) -> bool:
            if not rows.is_on(connection, job_id, run):
                return False
            rows.put_steps(connection, job_id, [record], told=told)
            if record.edit_result is not None:
                rows.refer(connection, job_id, {record.edit_result}, owned=record.made)
            rows.refer(connection, job_id, record.own_images, owned=True)
            return True

        return await self._database.transact(work)

    async def claim(self, job_id: str, run: int, image_ids: Set[str]) -> bool:
        """Note that images are about to be made for a job; false if this run is not wanted.

        Noted first, they are not lost by a death, nor erased with a job that has the same ones.
        """

        def work(connection: sa.Connection) -> bool:
            if not rows.is_on(connection, job_id, run):
                return False
            rows.refer(connection, job_id, image_ids, owned=True)
            return True

        return await self._database.transact(work)

    async def finish(
        self,
        job_id: str,
        run: int,
        state: JobState,
        result: str | None = None,
        error: dict[str, Any] | None = None,
    ) -> bool:
        """End a job; steps that never ran are skipped. False if this run is not wanted."""

        def work(connection: sa.Connection) -> bool:
            if not rows.is_on(connection, job_id, run):
                return False
            rows.end(
                connection, job_id, state, JobState.SKIPPED, {"result": result, "error": error}
            )
            return True

        return await self._database.transact(work)

    async def put_outputs(self, job_id: str, run: int, made: JobOutputs) -> bool:
        """Keep what was made of a job's results; false if this run is not wanted any more."""

        def work(connection: sa.Connection) -> bool:
            if not rows.is_on(connection, job_id, run):
                return False
            outputs.put(connection, job_id, made)
            return True

        return await self._database.transact(work)

    async def put_webhook(self, job_id: str, run: int, webhook: dict[str, Any]) -> None:
        """Keep how far the delivery of a run's webhook has come."""

        def work(connection: sa.Connection) -> None:
            this = (JOBS.c.id == job_id, JOBS.c.run == run)
            put = sa.update(JOBS).where(*this).values(webhook=webhook)
            if connection.execute(put).rowcount:
                events.record(connection, job_id, [JobEvent("webhook", webhook)])

        await self._database.transact(work)

    # For users.

    async def cancel(self, job_id: str) -> Job:
        """End a job that is queued or running; raises ``NotFound`` or ``WrongState``."""

        def work(connection: sa.Connection) -> Job:
            state = rows.locked(connection, job_id).state
            if state.final:
                raise WrongState(f"The job has ended already: it is {state}.")
            rows.end(connection, job_id, JobState.CANCELLED, JobState.CANCELLED, {})
            return rows.job(connection, job_id)

        return await self._database.transact(work)

    async def restart(self, job_id: str, again: Callable[[Job], Sequence[StepRecord]]) -> Job:
        """Queue an ended job once more, with the step records that ``again`` replaces.

        Raises ``NotFound``, or ``WrongState`` if the job has not ended or nothing is left to do.
        """

        def work(connection: sa.Connection) -> Job:
            rows.locked(connection, job_id)
            job = rows.job(connection, job_id)
            if not job.state.final:
                raise WrongState(f"The job has not ended yet: it is {job.state}.")
            records = again(job)
            # A job may have been stopped while its outputs were made.
            if not records and (job.kind is JobKind.EDIT or job.has_outputs):
                raise WrongState("Nothing is left to do: every step has succeeded.")
            rows.put_steps(connection, job_id, records)
            outputs.erase(connection, job_id)
            now = time.time()
            connection.execute(
                sa.update(JOBS)
                .where(JOBS.c.id == job_id)
                .values(
                    state=str(JobState.QUEUED),
                    run=job.run + 1,
                    started_at=None,
                    finished_at=None,
                    deadline_at=job.plan.deadline_from(now),
                    result=None,
                    error=None,
                    webhook=job.plan.webhook_to_tell,
                )
            )
            events.record(connection, job_id, [state_event(JobState.QUEUED, now)])
            return rows.job(connection, job_id)

        return await self._database.transact(work)

    async def _overviews(self, wanted: sa.Select[Any]) -> list[Overview]:
        return await self._database.read(
            lambda connection: [overview_of(row) for row in connection.execute(wanted).mappings()]
        )
