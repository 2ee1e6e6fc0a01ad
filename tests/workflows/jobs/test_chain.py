"""Chains: what a step builds on, and what happens after one that fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serve_app.engine.engine import Engine
from serve_app.images.pixels import content_id
from serve_app.workflows.jobs.job import JobState
from serve_app.workflows.jobs.plan import OnFailure, StepPlan
from tests.conftest import decoded
from tests.workflows.faulty_editor import FaultyEditor
from tests.workflows.jobs.conftest import Jobs, chain, ended

DONE, FAILED, SKIPPED = JobState.SUCCEEDED, JobState.FAILED, JobState.SKIPPED


async def inputs_of(jobs: Jobs, result_ids: list[str | None]) -> list[str]:
    """The ids of what each result was made from."""
    records = [await jobs.results.metadata(str(result_id)) for result_id in result_ids]
    return [record["request"]["images"][0] for record in records if record is not None]


async def shown_by(jobs: Jobs, result_id: str | None) -> str:
    """The content id of a result's picture."""
    png = await jobs.results.image(str(result_id))
    assert png is not None
    return content_id(decoded(png))


async def test_each_step_edits_what_the_one_before_made(jobs_anywhere: Jobs) -> None:
    jobs = jobs_anywhere
    image = await jobs.store()
    async with jobs.running() as service:
        job = await service.submit(chain(image, "make it blue", "make it red"))
        job = await ended(service, job.id)
    assert job.state is DONE
    assert [step.state for step in job.steps] == [DONE, DONE]
    assert job.result == job.steps[1].result
    first = await shown_by(jobs, job.steps[0].result)
    assert await inputs_of(jobs, [step.result for step in job.steps]) == [image, first]
    for step in job.steps:
        record = await jobs.results.metadata(str(step.result))
        assert record is not None
        assert (step.verdict, step.seed) == (record["verdict"], record["seed"])
        assert step.attempts == len(record["attempts"])
        assert step.seconds is not None


@pytest.mark.parametrize(
    ("on_failure", "state", "steps"),
    [
        (OnFailure.STOP, FAILED, [DONE, FAILED, SKIPPED]),
        (OnFailure.KEEP_BEST, DONE, [DONE, FAILED, SKIPPED]),
        (OnFailure.SKIP, DONE, [DONE, FAILED, DONE]),
    ],
)
async def test_after_a_rejected_step(
    jobs: Jobs,
    engine: Engine,
    on_failure: OnFailure,
    state: JobState,
    steps: list[JobState],
) -> None:
    image = await jobs.store()
    plan = chain(image, "make it blue", "make it red", "make it green", on_failure=on_failure)
    once = [StepPlan(step.parameters | {"max_attempts": 1}) for step in plan.steps]
    async with jobs.running(FaultyEditor(engine, flat_at=2)) as service:
        job = await ended(service, (await service.submit(replace(plan, steps=tuple(once)))).id)
    assert job.state is state
    assert [step.state for step in job.steps] == steps
    rejected = job.steps[1]
    assert rejected.verdict == "fail"
    assert rejected.error is not None
    assert rejected.error["code"] == "edit_rejected"
    accepted = [step.result for step in job.steps if step.state is DONE]
    assert job.result == accepted[-1]
    # What was rejected is kept, but nothing is built on it.
    assert await jobs.results.image(str(rejected.result)) is not None
    built_on = await inputs_of(jobs, accepted)
    assert built_on == [image, await shown_by(jobs, accepted[0])][: len(accepted)]
    if state is FAILED:
        assert job.error == {**rejected.error, "step": 1}


@pytest.mark.parametrize("on_failure", list(OnFailure))
async def test_nothing_accepted_is_a_failure(
    jobs: Jobs, engine: Engine, on_failure: OnFailure
) -> None:
    image = await jobs.store()
    async with jobs.running(FaultyEditor(engine, failing=9)) as service:
        plan = chain(image, "make it blue", "make it red", on_failure=on_failure)
        job = await ended(service, (await service.submit(plan)).id)
    assert job.state is FAILED
    assert job.result is None
    assert job.error is not None
    assert (job.error["code"], job.error["step"]) == ("edit_failed", 0)


async def test_a_step_may_build_on_an_earlier_one_by_name(jobs: Jobs) -> None:
    image = await jobs.store()
    plan = chain(image, "make it blue", "make it red", "make it green")
    steps = (plan.steps[0], plan.steps[1], replace(plan.steps[2], source=0))
    async with jobs.running() as service:
        job = await ended(service, (await service.submit(replace(plan, steps=steps))).id)
    first = await shown_by(jobs, job.steps[0].result)
    assert await inputs_of(jobs, [job.steps[2].result]) == [first]


async def test_a_step_that_builds_on_a_failed_one_fails_without_an_edit(
    jobs: Jobs, engine: Engine
) -> None:
    image = await jobs.store()
    editor = FaultyEditor(engine, failing_at=1)
    plan = chain(image, "make it blue", "make it red", on_failure=OnFailure.SKIP)
    steps = (plan.steps[0], replace(plan.steps[1], source=0))
    async with jobs.running(editor) as service:
        job = await ended(service, (await service.submit(replace(plan, steps=steps))).id)
    assert job.state is FAILED
    assert job.steps[1].error is not None
    assert (job.steps[1].error["code"], job.steps[1].error["param"]) == ("not_found", "input")
    assert len(editor.jobs) == 1
