"""An accepted job, and how far it has come."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from serve_app.edits.request import DEFAULT_PRIORITY
from serve_app.errors import EditServiceError
from serve_app.workflows.jobs.plan import JobKind, JobPlan

JOB_ID = re.compile(r"job-[0-9a-f]{32}")
"""What a job's id looks like; anything else is unknown without looking it up."""

_TIME_DIGITS = 12
"""Hex digits of the milliseconds since 1970 at the head of an id: until the year 10889."""


def new_job_id(created_at: float) -> str:
    """Make an id that can't be guessed (80 random bits) and sorts by ``created_at``, seconds."""
    return f"job-{int(created_at * 1000):0{_TIME_DIGITS}x}{secrets.token_hex(10)}"


def first_id_at(moment: float) -> str:
    """What all ids of jobs created at ``moment`` (seconds since 1970) or later are above."""
    return f"job-{max(0, int(moment * 1000)):0{_TIME_DIGITS}x}"


class JobState(StrEnum):
    """How far a job, or one of its steps, has come."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # steps only: never run, because of an earlier one

    @property
    def final(self) -> bool:
        """Whether nothing more will happen, unless somebody asks for it."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How far one step has come.

    ``made`` tells whether the step made its result, or found it in the cache. ``variation``
    counts how often a rejected step was retried: each time is another derived seed. ``drift`` is
    how far a chain's result has moved away from its first image, ``edited`` the result before
    that was repaired. ``outputs`` are the pictures of a brand set that were made of the result.
    """

    index: int
    state: JobState = JobState.QUEUED
    name: str | None = None
    description: str | None = None
    result: str | None = None
    verdict: str | None = None
    attempts: int | None = None
    seed: int | None = None
    seconds: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    made: bool = False
    variation: int = 0
    error: dict[str, Any] | None = None
    drift: dict[str, Any] | None = None
    edited: str | None = None
    outputs: tuple[dict[str, Any], ...] = ()

    @property
    def images(self) -> set[str]:
        """Ids of all images that came of it."""
        return self.own_images | {one for one in (self.result, self.edited) if one is not None}

    @property
    def own_images(self) -> set[str]:
        """Ids of the images that were made for this job alone."""
        made = {output["file"] for output in self.outputs}
        if self.edited is not None and self.result is not None:
            made.add(self.result)
        return made

    @property
    def edit_result(self) -> str | None:
        """Id of what the edit came to, which others may have asked for, too."""
        return self.edited or self.result

    def to_json(self) -> dict[str, Any]:
        """As users read it."""
        shown = {
            name: value for name in ("drift", "edited", "outputs") if (value := getattr(self, name))
        }
        return shown | {
            "index": self.index,
            "state": str(self.state),
            "name": self.name,
            "description": self.description,
            "result": self.result,
            "verdict": self.verdict,
            "attempts": self.attempts,
            "seed": self.seed,
            "seconds": self.seconds,
            "started_at": shown_time(self.started_at),
            "finished_at": shown_time(self.finished_at),
            "error": self.error,
        }

    def again(self, *, other_seed: bool) -> StepRecord:
        """The record of a step that is to be run once more."""
        variation = self.variation + 1 if other_seed else self.variation
        return StepRecord(
            self.index, name=self.name, description=self.description, variation=variation
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """An accepted job as lists show it; moments are seconds since 1970.

    ``run`` counts how often it was started, which a retry does again.
    """

    id: str
    kind: JobKind
    state: JobState
    step_count: int
    created_at: float
    run: int = 1
    label: str | None = None
    user: str | None = None
    priority: int = DEFAULT_PRIORITY
    started_at: float | None = None
    finished_at: float | None = None
    deadline_at: float | None = None
    result: str | None = None
    error: dict[str, Any] | None = None
    webhook: dict[str, Any] | None = None
    forked_from: str | None = None

    @property
    def left_s(self) -> float | None:
        """Seconds until the deadline, below 0 after it; ``None`` without one."""
        return None if self.deadline_at is None else self.deadline_at - time.time()

    def to_json(self) -> dict[str, Any]:
        """As users read it."""
        return {
            "id": self.id,
            "kind": str(self.kind),
            "state": str(self.state),
            "label": self.label,
            "user": self.user,
            "priority": self.priority,
            "created_at": shown_time(self.created_at),
            "started_at": shown_time(self.started_at),
            "finished_at": shown_time(self.finished_at),
            "deadline_at": shown_time(self.deadline_at),
            "step_count": self.step_count,
            "result": self.result,
            "error": self.error,
            "webhook": self.webhook,
            "forked_from": self.forked_from,
            "links": links(self.id),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Overview):
    """An accepted job as it stands, with its plan and all of its steps.

    ``has_outputs`` tells whether its contact sheet and manifest are made.
    """

    plan: JobPlan
    steps: tuple[StepRecord, ...]
    has_outputs: bool = False

    @classmethod
    def accepted(cls, plan: JobPlan, forked_from: str | None = None) -> Job:
        """A new job of ``plan``, of which nothing was done yet."""
        now = time.time()
        return cls(
            id=new_job_id(now),
            kind=plan.kind,
            state=JobState.QUEUED,
            step_count=len(plan.steps),
            created_at=now,
            label=plan.label,
            user=plan.user,
            priority=plan.priority,
            deadline_at=plan.deadline_from(now),
            webhook=plan.webhook_to_tell,
            forked_from=forked_from,
            plan=plan,
            steps=tuple(
                StepRecord(index, name=step.name, description=step.description)
                for index, step in enumerate(plan.steps)
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Everything users read."""
        # Not super(): with slots, the class that it would look for is another one.
        return Overview.to_json(self) | {
            "steps": [step.to_json() for step in self.steps],
            "outputs": output_links(self.id) if self.has_outputs else None,
            "specification": self.plan.specification,
        }


def links(job_id: str) -> dict[str, str]:
    """Where the job is read and steered."""
    self_ = f"/v1/jobs/{job_id}"
    return {"self": self_} | {
        name: f"{self_}/{name}" for name in ("events", "cancel", "retry", "fork")
    }


def output_links(job_id: str) -> dict[str, str]:
    """Where what a job has made of its results is read."""
    self_ = f"/v1/jobs/{job_id}"
    return {
        "contact_sheet": f"{self_}/contact-sheet",
        "manifest": f"{self_}/manifest",
        "archive": f"{self_}/archive",
    }


def shown_time(moment: float | None) -> str | None:
    """``moment`` (seconds since 1970) as ISO 8601 in UTC."""
    if moment is None:
        return None
    # Down to the millisecond, as ids are made.
    return datetime.fromtimestamp(int(moment * 1000) / 1000, UTC).isoformat(timespec="milliseconds")


def error_record(error: EditServiceError) -> dict[str, Any]:
    """``error`` as it is kept with a job or a step."""
    return {"code": error.code, "message": error.message, "param": error.param}
