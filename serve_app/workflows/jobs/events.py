"""What happened to a job, in order: kept, so that a reader can go on where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from serve_app.workflows.jobs.job import JobState, StepRecord, shown_time
from serve_app.workflows.jobs.tables import EVENTS

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something to tell: ``name`` is ``state``, ``step``, ``webhook``, ``waiting``, ``progress``
    or ``preview``.

    The first three are kept and have an ``id``, which grows. The others are about a step that
    is running just now: they are told once, without an id.
    """

    name: str
    data: dict[str, Any]
    id: int | None = None

    @property
    def last(self) -> bool:
        """Whether the job is over with it."""
        return self.name == "state" and JobState(self.data["state"]).final


def state_event(state: JobState, at: float, error: dict[str, Any] | None = None) -> JobEvent:
    """The job entered ``state``."""
    return JobEvent("state", {"state": str(state), "at": shown_time(at), "error": error})


def step_event(record: StepRecord) -> JobEvent:
    """A step began or ended."""
    return JobEvent("step", record.to_json())


def record(connection: sa.Connection, job_id: str, events: Sequence[JobEvent]) -> None:
    """Keep ``events``."""
    if events:
        connection.execute(
            sa.insert(EVENTS),
            [{"job_id": job_id, "event": {"name": e.name, "data": e.data}} for e in events],
        )


def after(connection: sa.Connection, job_id: str, last_id: int) -> list[JobEvent]:
    """The kept events above ``last_id``, in order, at most some hundred."""
    wanted = (
        sa.select(EVENTS.c.id, EVENTS.c.event)
        .where(EVENTS.c.job_id == job_id, EVENTS.c.id > last_id)
        .order_by(EVENTS.c.id)
        .limit(_AT_ONCE)
    )
    return [
        JobEvent(event["name"], event["data"], event_id)
        for event_id, event in connection.execute(wanted)
    ]
