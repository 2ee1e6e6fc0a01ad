"""Analyses of an A/B test, kept with the variants that they are about."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from serve_app.errors import InvalidRequest
from serve_app.workflows.jobs.job import Job
from serve_app.workflows.jobs.plan import JobKind
from serve_app.workflows.jobs.tables import ANALYSES

MOST = 1000
"""Of one job; whoever analyses every hour gets through a month."""


def add(connection: sa.Connection, job: Job, analysis: dict[str, Any]) -> None:
    """Keep ``analysis`` after those of before.

    Raises ``InvalidRequest`` for a job of another kind, with other variants or another metric
    than it was planned for, or with too many analyses.
    """
    if job.kind is not JobKind.VARIANTS:
        raise InvalidRequest(f"`job` must be a job of variants; this one is a {job.kind}.", "job")
    own = {step.name for step in job.plan.steps}
    for name in analysis["variants"]:
        if name not in own and name != ORIGINAL:
            raise InvalidRequest(
                f"The job has no variant of this name; it has {', '.join(sorted(map(str, own)))}.",
                f"variants.{name}",
            )
    planned = job.plan.success_metric
    if planned is not None and analysis["metric"] != planned:
        raise InvalidRequest(
            f"`metric` must be {planned}: that is the job's `success_metric`, and a test is "
            "decided by what it was planned for.",
            "metric",
        )
    kept = sa.select(sa.func.count()).where(ANALYSES.c.job_id == job.id)
    if connection.execute(kept).scalar_one() >= MOST:
        raise InvalidRequest(f"A job keeps at most {MOST:,} analyses.", "job")
    connection.execute(sa.insert(ANALYSES).values(job_id=job.id, analysis=analysis))


def of(connection: sa.Connection, job_id: str) -> list[dict[str, Any]]:
    """All analyses of a job, the oldest first."""
    wanted = sa.select(ANALYSES.c.analysis).where(ANALYSES.c.job_id == job_id)
    return list(connection.execute(wanted.order_by(ANALYSES.c.id)).scalars())


ORIGINAL = "original"
"""The picture that the variants were made of may be an arm of the test, too."""
