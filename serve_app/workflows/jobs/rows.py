"""What transactions on jobs are made of: reading rows, and changes that keep them in step.

Each change records its events. Functions take the connection of a running transaction.
"""

from __future__ import annotations

import time
from collections.abc import Sequence, Set
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from serve_app.errors import NotFound
from serve_app.workflows.jobs import events, outputs
from serve_app.workflows.jobs.events import state_event, step_event
from serve_app.workflows.jobs.job import Job, JobState, Overview, StepRecord
from serve_app.workflows.jobs.tables import (
    IMAGES,
    JOBS,
    OVERVIEW,
    STEPS,
    job_of,
    overview_of,
    step_of,
    step_row,
)

UNFINISHED = (str(JobState.QUEUED), str(JobState.RUNNING))


def locked(connection: sa.Connection, job_id: str) -> Overview:
    """The job, which nobody else changes before the end of the transaction."""
    return overview(connection, job_id, lock=True)


def overview(connection: sa.Connection, job_id: str, *, lock: bool = False) -> Overview:
    """A job without its plan and steps; raises ``NotFound``."""
    wanted = sa.select(*OVERVIEW).where(JOBS.c.id == job_id)
    if lock:
        wanted = wanted.with_for_update()  # SQLite has one writer at a time anyway
    row = connection.execute(wanted).mappings().first()
    if row is None:
        raise NotFound("There is no job with this id.")
    return overview_of(row)


def job(connection: sa.Connection, job_id: str) -> Job:
    """A job with its plan and steps; raises ``NotFound``."""
    row = connection.execute(sa.select(JOBS).where(JOBS.c.id == job_id)).mappings().first()
    if row is None:
        raise NotFound("There is no job with this id.")
    return job_of(row, steps(connection, job_id), outputs.present(connection, job_id))


def step(connection: sa.Connection, job_id: str, index: int) -> StepRecord | None:
    """A step of a job, if there is one."""
    wanted = sa.select(STEPS).where(STEPS.c.job_id == job_id, STEPS.c.index == index)
    row = connection.execute(wanted).mappings().first()
    return None if row is None else step_of(row)


def steps(connection: sa.Connection, job_id: str) -> tuple[StepRecord, ...]:
    """The steps of a job, in order."""
    wanted = sa.select(STEPS).where(STEPS.c.job_id == job_id).order_by(STEPS.c.index)
    return tuple(step_of(row) for row in connection.execute(wanted).mappings())


def queued(connection: sa.Connection, most: int) -> int:
    """How many jobs are queued, counted up to ``most``."""
    some = sa.select(JOBS.c.id).where(JOBS.c.state == str(JobState.QUEUED)).limit(most)
    return int(
        connection.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one()
    )


def is_on(connection: sa.Connection, job_id: str, run: int) -> bool:
    """Whether the job is, until the end of the transaction, to be worked on by this run."""
    try:
        job = locked(connection, job_id)
    except NotFound:
        return False  # erased
    return job.run == run and not job.state.final


def put_steps(
    connection: sa.Connection, job_id: str, records: Sequence[StepRecord], *, told: bool = True
) -> None:
    """Keep how far steps have come; ``told``, it is an event."""
    for record in records:
        row = step_row(job_id, record)
        connection.execute(
            sa.update(STEPS)
            .where(STEPS.c.job_id == job_id, STEPS.c.index == record.index)
            .values(state=row["state"], record=row["record"])
        )
    if told:
        events.record(connection, job_id, [step_event(record) for record in records])


def end(
    connection: sa.Connection,
    job_id: str,
    state: JobState,
    rest: JobState,
    values: dict[str, Any],
) -> None:
    """Put a job into a final state, and its unfinished steps into the state ``rest``."""
    now = time.time()
    left = sa.select(STEPS).where(STEPS.c.job_id == job_id, STEPS.c.state.in_(UNFINISHED))
    records = [step_of(row) for row in connection.execute(left).mappings()]
    put_steps(connection, job_id, [replace(record, state=rest) for record in records])
    connection.execute(
        sa.update(JOBS)
        .where(JOBS.c.id == job_id)
        .values(state=str(state), finished_at=now, **values)
    )
    events.record(connection, job_id, [state_event(state, now, values.get("error"))])


def refer(connection: sa.Connection, job_id: str, image_ids: Set[str], *, owned: bool) -> None:
    """Note that a job uses images; one that it owns it goes on owning."""
    for image_id in image_ids:
        this = (IMAGES.c.job_id == job_id, IMAGES.c.image_id == image_id)
        if connection.execute(sa.select(IMAGES).where(*this)).first() is None:
            connection.execute(
                sa.insert(IMAGES).values(job_id=job_id, image_id=image_id, owned=owned)
            )
        elif owned:
            connection.execute(sa.update(IMAGES).where(*this).values(owned=True))
