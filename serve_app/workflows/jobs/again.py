"""Running an ended job once more: all of the rest, or a copy from a step on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from serve_app.errors import InvalidRequest
from serve_app.workflows.jobs.job import Job, JobState, StepRecord
from serve_app.workflows.jobs.plan import JobKind, OnFailure, StepPlan


@dataclass(frozen=True, slots=True)
class Fork:
    """From which step on a copy of a job runs, and with which steps if not the same."""

    from_step: int
    steps: tuple[StepPlan, ...] | None = None


def to_do_again(job: Job) -> list[StepRecord]:
    """Fresh records of the steps that a retry runs: of a chain, all from the first that failed."""
    failed = [step for step in job.steps if step.state is not JobState.SUCCEEDED]
    if failed and job.kind is JobKind.CHAIN:
        failed = list(job.steps[failed[0].index :])
    return [step.again(other_seed=_rejected(step)) for step in failed]


def _rejected(step: StepRecord) -> bool:
    return step.state is JobState.FAILED and step.result is not None


def forked(job: Job, fork: Fork) -> Job:
    """A new job that takes over the steps before ``fork.from_step``; raises ``InvalidRequest``."""
    first = fork.from_step
    if not 0 <= first < len(job.steps):
        last = len(job.steps) - 1
        raise InvalidRequest(f"`from_step` must be a step of the job, 0 to {last}.", "from_step")
    kept = job.steps[:first]
    # Where failures are lived with, those of before are, too.
    passable = {JobState.SUCCEEDED}
    if job.kind is not JobKind.CHAIN or job.plan.on_failure is OnFailure.SKIP:
        passable.add(JobState.FAILED)
    if any(step.state not in passable for step in kept):
        raise InvalidRequest("A step before `from_step` has not succeeded.", "from_step")
    later = job.plan.steps[first:] if fork.steps is None else fork.steps
    copy = Job.accepted(job.plan.with_later_steps(later, first), forked_from=job.id)
    taken_over = [replace(step, made=False) for step in kept]
    return replace(copy, steps=(*taken_over, *copy.steps[first:]))
