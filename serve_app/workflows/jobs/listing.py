"""Which jobs a list shows, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from serve_app.workflows.jobs.job import JobState, Overview, first_id_at
from serve_app.workflows.jobs.plan import JobKind
from serve_app.workflows.jobs.tables import JOBS, OVERVIEW, overview_of


@dataclass(frozen=True, slots=True)
class JobQuery:
    """A filter, the newest job first; moments are seconds since 1970.

    ``cursor`` is the id of the last job of the page before.
    """

    state: JobState | None = None
    kind: JobKind | None = None
    label: str | None = None
    user: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    cursor: str | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs, and from where the next page goes on, if there is one."""

    jobs: tuple[Overview, ...]
    next_cursor: str | None


def page(connection: sa.Connection, query: JobQuery) -> JobPage:
    """Read the jobs that ``query`` describes; ids sort by the time of creation."""
    wanted = sa.select(*OVERVIEW).order_by(JOBS.c.id.desc()).limit(query.limit + 1)
    for column, value in (
        (JOBS.c.state, query.state and str(query.state)),
        (JOBS.c.kind, query.kind and str(query.kind)),
        (JOBS.c.label, query.label),
        (JOBS.c.user, query.user),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    if query.created_after is not None:
        wanted = wanted.where(JOBS.c.id >= first_id_at(query.created_after))
    if query.created_before is not None:
        wanted = wanted.where(JOBS.c.id < first_id_at(query.created_before))
    if query.cursor is not None:
        wanted = wanted.where(JOBS.c.id < query.cursor)
    found = [overview_of(row) for row in connection.execute(wanted).mappings()]
    shown = tuple(found[: query.limit])
    return JobPage(shown, shown[-1].id if len(found) > query.limit else None)
