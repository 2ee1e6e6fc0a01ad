"""What a job makes of all its results at its end: a contact sheet, a manifest, named files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from serve_app.errors import NotFound
from serve_app.workflows.jobs.tables import OUTPUTS


@dataclass(frozen=True, slots=True)
class JobOutputs:
    """``contact_sheet`` is a file id; ``files`` maps names in the archive to ids of images.

    ``manifest`` is JSON that tells programs what is what.
    """

    contact_sheet: str
    manifest: dict[str, Any]
    files: dict[str, str]


def put(connection: sa.Connection, job_id: str, made: JobOutputs) -> None:
    """Keep what was made, in place of what was there."""
    erase(connection, job_id)
    connection.execute(sa.insert(OUTPUTS).values(job_id=job_id, **asdict(made)))


def erase(connection: sa.Connection, job_id: str) -> None:
    """Forget what was made: the job runs again."""
    connection.execute(sa.delete(OUTPUTS).where(OUTPUTS.c.job_id == job_id))


def present(connection: sa.Connection, job_id: str) -> bool:
    """Whether anything was made of the job's results yet."""
    wanted = sa.select(OUTPUTS.c.job_id).where(OUTPUTS.c.job_id == job_id)
    return connection.execute(wanted).first() is not None


def of(connection: sa.Connection, job_id: str) -> JobOutputs:
    """What was made of the job's results; raises ``NotFound``."""
    wanted = sa.select(OUTPUTS).where(OUTPUTS.c.job_id == job_id)
    row = connection.execute(wanted).mappings().first()
    if row is None:
        raise NotFound("This job has no outputs, or not yet: they are made at its end.")
    return JobOutputs(row["contact_sheet"], row["manifest"], row["files"])
