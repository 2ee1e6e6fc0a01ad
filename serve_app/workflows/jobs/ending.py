"""How a job ends, and what its steps are called in its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serve_app.workflows.jobs.job import JobState, StepRecord


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended."""

    state: JobState
    result: str | None = None
    error: dict[str, Any] | None = None


def step_name(index: int) -> str:
    """What a run calls the step ``index``; it must stay the same over restarts."""
    return f"step {index}"


def failure_of(record: StepRecord) -> dict[str, Any]:
    """The error of a job that a failed step ended."""
    return {**(record.error or {}), "step": record.index}
