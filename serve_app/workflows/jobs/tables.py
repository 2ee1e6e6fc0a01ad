"""The tables that jobs are kept in, and the way of their rows to objects and back."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import sqlalchemy as sa

from serve_app.workflows.jobs.job import Job, JobState, Overview, StepRecord
from serve_app.workflows.jobs.plan import JobKind, JobPlan

TABLES = sa.MetaData()


def _counted_id() -> sa.Column[int]:
    # BIGINT would not count by itself in SQLite.
    counting = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column("id", counting, primary_key=True, autoincrement=True)


JOBS = sa.Table(
    "jobs",
    TABLES,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("run", sa.Integer, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("label", sa.String),
    sa.Column("user", sa.String),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("step_count", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("finished_at", sa.Double),
    sa.Column("deadline_at", sa.Double),
    sa.Column("result", sa.String),
    sa.Column("error", sa.JSON(none_as_null=True)),
    sa.Column("webhook", sa.JSON(none_as_null=True)),
    sa.Column("forked_from", sa.String),
    sa.Column("plan", sa.JSON, nullable=False),
    # Every filter of the list, each in the list's order.
    sa.Index("jobs_by_state", "state", "id"),
    sa.Index("jobs_by_kind", "kind", "id"),
    sa.Index("jobs_by_label", "label", "id"),
    sa.Index("jobs_by_user", "user", "id"),
    sa.Index("jobs_by_end", "finished_at"),
)

STEPS = sa.Table(
    "job_steps",
    TABLES,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
)

EVENTS = sa.Table(
    "job_events",
    TABLES,
    _counted_id(),
    sa.Column("job_id", sa.String, nullable=False),
    sa.Column("event", sa.JSON, nullable=False),
    sa.Index("job_events_by_job", "job_id", "id"),
    sqlite_autoincrement=True,  # ids of erased jobs must not come again
)

IMAGES = sa.Table(
    "job_images",
    TABLES,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("image_id", sa.String, primary_key=True),
    # Whether it goes with the last job that has it: not so results that others asked for first.
    sa.Column("owned", sa.Boolean, nullable=False),
    sa.Index("job_images_by_image", "image_id"),
)

IDEMPOTENCY_KEYS = sa.Table(
    "idempotency_keys",
    TABLES,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("job_id", sa.String, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
)

OUTPUTS = sa.Table(
    "job_outputs",
    TABLES,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("contact_sheet", sa.String, nullable=False),
    sa.Column("manifest", sa.JSON, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
)

ANALYSES = sa.Table(
    "job_analyses",
    TABLES,
    _counted_id(),
    sa.Column("job_id", sa.String, nullable=False),
    sa.Column("analysis", sa.JSON, nullable=False),
    sa.Index("job_analyses_by_job", "job_id", "id"),
)

OVERVIEW = tuple(JOBS.c[field.name] for field in fields(Overview))
"""The columns of an ``Overview``, without the plan, which may be long."""


def job_row(job: Job) -> dict[str, Any]:
    """The row of ``job`` in ``JOBS``."""
    row = {field.name: getattr(job, field.name) for field in fields(Overview)}
    return row | {"kind": str(job.kind), "state": str(job.state), "plan": job.plan.to_json()}


def overview_of(row: sa.RowMapping) -> Overview:
    """The overview in a row of ``OVERVIEW``."""
    return Overview(**_overview_values(row))


def job_of(row: sa.RowMapping, steps: tuple[StepRecord, ...], has_outputs: bool) -> Job:
    """The job in a row of ``JOBS``."""
    plan = JobPlan.from_json(row["plan"])
    return Job(**_overview_values(row), plan=plan, steps=steps, has_outputs=has_outputs)


def step_row(job_id: str, record: StepRecord) -> dict[str, Any]:
    """The row of ``record`` in ``STEPS``."""
    return {
        "job_id": job_id,
        "index": record.index,
        "state": str(record.state),
        "record": asdict(record),
    }


def step_of(row: sa.RowMapping) -> StepRecord:
    """The record in a row of ``STEPS``."""
    record = row["record"]
    outputs = tuple(record.get("outputs", ()))
    return StepRecord(**{**record, "state": JobState(row["state"]), "outputs": outputs})


def _overview_values(row: sa.RowMapping) -> dict[str, Any]:
    values = {column.name: row[column.name] for column in OVERVIEW}
    return values | {"kind": JobKind(row["kind"]), "state": JobState(row["state"])}
