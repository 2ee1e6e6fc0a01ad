"""Leaving in the middle and starting again on the same storage."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.engine.engine import Engine
from serve_app.errors import WrongState
from serve_app.workflows.in_process import assemble
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.database import Database, database_url
from serve_app.workflows.jobs.job import Job, JobState
from serve_app.workflows.jobs.listing import JobQuery
from serve_app.workflows.jobs.plan import JobKind, JobPlan, StepPlan
from serve_app.workflows.jobs.service import JobService
from tests.workflows.faulty_editor import FaultyEditor
from tests.workflows.jobs.conftest import Jobs, chain, edits, ended
from tests.workflows.jobs.test_brand_set import brand_set

DONE = JobState.SUCCEEDED


async def test_a_chain_goes_on_at_its_last_ended_step(jobs_anywhere: Jobs, engine: Engine) -> None:
    jobs = jobs_anywhere
    first, second = FaultyEditor(engine), FaultyEditor(engine)
    async with jobs.running(first) as service:
        plan = chain(await jobs.store(), "make it blue", "make it red", "make it green")
        job_id = (await service.submit(plan)).id
        async for event in service.events(job_id, 0):
            if event.name == "progress" and event.data["index"] == 1:
                break
        left = await service.get(job_id)
    assert [step.state for step in left.steps[:2]] == [DONE, JobState.RUNNING]
    async with jobs.running(second) as service:
        job = await ended(service, job_id)
    assert job.state is DONE
    assert job.run == 1
    assert job.steps[0] == left.steps[0]
    assert [one.prompt for one in first.jobs] == ["make it blue", "make it red"]
    assert [one.prompt for one in second.jobs] == ["make it red", "make it green"]


async def test_items_that_have_ended_are_not_run_again(jobs_anywhere: Jobs, engine: Engine) -> None:
    jobs = jobs_anywhere
    image = await jobs.store()
    plan = edits(*((image, f"make it {number}") for number in range(6)), at_once=2)
    first, second = FaultyEditor(engine), FaultyEditor(engine)
    async with jobs.running(first) as service:
        job_id = (await service.submit(plan)).id
        async for event in service.events(job_id, 0):
            if event.name == "step" and event.data["state"] == "succeeded":
                break
    async with jobs.running(second) as service:
        left = {step.index: step.result for step in (await service.get(job_id)).steps}
        job = await ended(service, job_id)
    assert [step.state for step in job.steps] == [DONE] * 6
    kept = {index for index, result in left.items() if result is not None}
    assert kept
    assert {step.index: step.result for step in job.steps if step.index in kept} == {
        index: left[index] for index in kept
    }
    again = {one.prompt for one in second.jobs}
    assert not again & {f"make it {index}" for index in kept}


async def test_what_was_accepted_by_a_process_that_runs_no_jobs_is_run(
    jobs_anywhere: Jobs, engine: Engine
) -> None:
    """As while a service is updated: the old process has the place, the new one takes jobs in."""
    jobs = jobs_anywhere
    gateway = assemble(jobs.config, engine)
    new = JobService(jobs.config, gateway, gateway.forget)
    async with jobs.running() as old:
        new.start()
        job_id = (await new.submit(edits((await jobs.store(), "make it blue")))).id
        # Whoever has the place finds it, too, though nobody told.
        assert (await ended(old, job_id)).state is DONE
        other = (await new.submit(edits((await jobs.store(), "make it red")))).id
    assert (await ended(new, other)).state is DONE
    await new.close()


async def test_two_processes_never_run_jobs_at_once(jobs_anywhere: Jobs, engine: Engine) -> None:
    jobs = jobs_anywhere
    gateway = assemble(jobs.config, engine)
    second = JobService(jobs.config, gateway, gateway.forget)
    async with jobs.running():
        second.start()
        waiting = asyncio.create_task(second.launched())
        # Long enough for it to have looked; what it must not do has no event to wait for.
        done, _ = await asyncio.wait([waiting], timeout=0.5)
        assert not done
    await waiting
    await second.close()


async def test_a_job_whose_run_was_lost_gets_another(jobs: Jobs, engine: Engine) -> None:
    hold = asyncio.Event()
    async with jobs.running(FaultyEditor(engine, hold=hold)) as service:
        job_id = (await service.submit(edits((await jobs.store(), "make it blue")))).id
        async for event in service.events(job_id, 0):
            if event.name == "step":
                break
        # A fault of the database in the middle of a run ends it without an end of the job.
        await service._runs.forget(job_id)
    async with jobs.running() as service:
        assert (await ended(service, job_id)).state is DONE
        assert len((await service.page(JobQuery())).jobs) == 1


async def test_an_edit_that_is_done_is_not_run_again_for_its_formats(
    jobs_anywhere: Jobs, engine: Engine
) -> None:
    """Left while the formats are made of it, when the cache doesn't have it, either."""
    jobs = jobs_anywhere
    plan = brand_set(await jobs.store(size=(160, 120)), "blue")
    steps = [replace(step, parameters=step.parameters | {"cache": "off"}) for step in plan.steps]
    first, second = FaultyEditor(engine), FaultyEditor(engine)
    async with jobs.running(first) as service:
        job_id = (await service.submit(replace(plan, steps=tuple(steps)))).id
        while not any(step.result for step in (await service.get(job_id)).steps):
            await asyncio.sleep(0.001)
    async with jobs.running(second) as service:
        job = await ended(service, job_id)
        assert len((await service.outputs(job_id)).files) == 5
        assert job.state is DONE
        assert len(first.jobs) + len(second.jobs) == len(job.steps) == 3
        # Nothing of it was left behind by the run that was left.
        await service.delete(job_id)
    assert await jobs.files.ids_before(1e12) == []
    assert await jobs.results.ids_before(1e12) == []


async def test_outputs_that_a_cancelled_job_lacks_are_made_by_a_retry(jobs: Jobs) -> None:
    image = await jobs.store()
    plan = JobPlan(
        JobKind.VARIANTS,
        tuple(StepPlan({"prompt": f"make it {name}"}, name=name) for name in ("blue", "red")),
        images=(image,),
    )
    async with jobs.running() as service:
        made = await ended(service, (await service.submit(plan)).id)
    # As if it had been cancelled after its last step, in the middle of drawing the sheet.
    database = Database(database_url(None, Path(jobs.config.storage.root)))
    catalogue = Catalogue(database)
    job = Job.accepted(plan)
    await catalogue.add(job, 10)
    assert await catalogue.start(job.id, 1) is not None
    for step in made.steps:
        assert await catalogue.put_step(job.id, 1, step)
    await catalogue.cancel(job.id)
    database.close()
    async with jobs.running() as service:
        await service.retry(job.id)
        again = await ended(service, job.id)
        assert again.state is DONE
        assert again.has_outputs
        assert [step.result for step in again.steps] == [step.result for step in made.steps]
        with pytest.raises(WrongState):
            await service.retry(job.id)
