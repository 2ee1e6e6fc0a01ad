"""What goes with a job when it is erased: everything of it that no other job uses."""

from __future__ import annotations

import sqlalchemy as sa

from serve_app.workflows.jobs.tables import EVENTS, IDEMPOTENCY_KEYS, IMAGES, JOBS, STEPS


def erase(connection: sa.Connection, job_id: str) -> list[str]:
    """Erase a job's rows; return the ids of the images that nobody needs any more.

    A result that was found in the cache was made for somebody else, who may still want it: it
    stays. One that another job found there becomes that job's own.
    """
    owned = sa.select(IMAGES.c.image_id).where(IMAGES.c.job_id == job_id, IMAGES.c.owned)
    unused = []
    for image_id in connection.execute(owned).scalars():
        heir = connection.execute(
            sa.select(IMAGES.c.job_id)
            .where(IMAGES.c.image_id == image_id, IMAGES.c.job_id != job_id)
            .limit(1)
        ).scalar()
        if heir is None:
            unused.append(image_id)
        else:
            connection.execute(
                sa.update(IMAGES)
                .where(IMAGES.c.image_id == image_id, IMAGES.c.job_id == heir)
                .values(owned=True)
            )
    for table in (IMAGES, EVENTS, STEPS, IDEMPOTENCY_KEYS):
        connection.execute(sa.delete(table).where(table.c.job_id == job_id))
    connection.execute(sa.delete(JOBS).where(JOBS.c.id == job_id))
    return unused


def in_use(connection: sa.Connection, image_ids: list[str]) -> set[str]:
    """Which of ``image_ids`` (some hundred at a time) any job uses."""
    used = sa.select(IMAGES.c.image_id).where(IMAGES.c.image_id.in_(image_ids)).distinct()
    return set(connection.execute(used).scalars())
