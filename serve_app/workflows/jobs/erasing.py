"""What goes with a job when it is erased: everything of it that no other job uses."""

from __future__ import annotations

import sqlalchemy as sa

from serve_app.workflows.jobs.tables import (
    ANALYSES,
    EVENTS,
    IDEMPOTENCY_KEYS,
    IMAGES,
    JOBS,
    OUTPUTS,
    STEPS,
)


def unused_images(connection: sa.Connection, job_id: str) -> list[str]:
    """Ids of the images of a job that go with it, since no other job uses them.

    A result that was found in the cache was made for somebody else, who may still want it: it
    stays.
    """
    other = IMAGES.alias()
    used = sa.exists().where(other.c.image_id == IMAGES.c.image_id, other.c.job_id != job_id)
    own = sa.select(IMAGES.c.image_id).where(IMAGES.c.job_id == job_id, IMAGES.c.owned, ~used)
    return list(connection.execute(own).scalars())


def erase(connection: sa.Connection, job_id: str) -> None:
    """Erase a job's rows; what other jobs found of it in the cache becomes their own."""
    owned = sa.select(IMAGES.c.image_id).where(IMAGES.c.job_id == job_id, IMAGES.c.owned)
    heirs = (IMAGES.c.image_id.in_(owned.scalar_subquery()), IMAGES.c.job_id != job_id)
    connection.execute(sa.update(IMAGES).where(*heirs).values(owned=True))
    for table in (IMAGES, EVENTS, STEPS, OUTPUTS, ANALYSES, IDEMPOTENCY_KEYS):
        connection.execute(sa.delete(table).where(table.c.job_id == job_id))
    connection.execute(sa.delete(JOBS).where(JOBS.c.id == job_id))


def in_use(connection: sa.Connection, image_id: str, but: str | None = None) -> bool:
    """Whether any job, except ``but``, uses an image."""
    used = sa.select(IMAGES.c.job_id).where(IMAGES.c.image_id == image_id)
    if but is not None:
        used = used.where(IMAGES.c.job_id != but)
    return connection.execute(used.limit(1)).first() is not None


def used_of(connection: sa.Connection, image_ids: list[str]) -> set[str]:
    """Which of ``image_ids`` (some hundred at a time) any job uses."""
    used = sa.select(IMAGES.c.image_id).where(IMAGES.c.image_id.in_(image_ids)).distinct()
    return set(connection.execute(used).scalars())
