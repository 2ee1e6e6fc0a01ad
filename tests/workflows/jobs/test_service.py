"""Jobs as users know them: accepted once, in turn, steered, erased."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from serve_app.engine.engine import Engine
from serve_app.errors import (
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    NotReady,
    Overloaded,
    Quarantined,
    WrongState,
)
from serve_app.monitoring.reporter import JobBacklog
from serve_app.workflows.in_process import assemble
from serve_app.workflows.jobs.again import Fork
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.durable import DurableRuns
from serve_app.workflows.jobs.idempotency import IdempotencyKey
from serve_app.workflows.jobs.job import JobState, StepRecord
from serve_app.workflows.jobs.listing import JobQuery
from serve_app.workflows.jobs.plan import JobPlan, StepPlan
from serve_app.workflows.jobs.service import JobService
from tests.workflows.faulty_editor import FaultyEditor
from tests.workflows.jobs.conftest import Jobs, chain, edits, ended

DONE, FAILED, CANCELLED = JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED


async def submitted(service: JobService, plan: JobPlan) -> str:
    return (await service.submit(plan)).id


async def running(service: JobService, job_id: str) -> None:
    """Return once a step of the job is running."""
    async for event in service.events(job_id, 0):
        if event.name == "step" and event.data["state"] == "running":
            return


async def test_the_same_key_fifty_times_at_once_is_one_job(
    jobs_anywhere: Jobs, engine: Engine
) -> None:
    jobs = jobs_anywhere
    editor = FaultyEditor(engine)
    plan = edits((await jobs.store(), "make it blue"))
    key = IdempotencyKey.of("a key", plan.to_json())
    async with jobs.running(editor) as service:
        accepted = await asyncio.gather(*(service.submit(plan, key) for _ in range(50)))
        assert len({job.id for job in accepted}) == 1
        await ended(service, accepted[0].id)
        assert len((await service.page(JobQuery())).jobs) == 1
    assert len(editor.jobs) == 1


async def test_a_key_belongs_to_its_request(jobs_anywhere: Jobs) -> None:
    jobs = jobs_anywhere
    image = await jobs.store()
    one, other = edits((image, "make it blue")), edits((image, "make it red"))
    async with jobs.running() as service:
        await service.submit(one, IdempotencyKey.of("a key", one.to_json()))
        with pytest.raises(IdempotencyKeyReused):
            await service.submit(other, IdempotencyKey.of("a key", other.to_json()))
        assert len((await service.page(JobQuery())).jobs) == 1


async def test_items_fail_alone(jobs_anywhere: Jobs, engine: Engine) -> None:
    jobs = jobs_anywhere
    image, vanishing = await jobs.store("coffee"), await jobs.store("chelsea")
    plan = edits((image, "make it blue"), (vanishing, "make it blue"), (image, "make it red"))
    hold = asyncio.Event()
    async with jobs.running(FaultyEditor(engine, hold=hold), running=1) as service:
        await running(service, await submitted(service, edits((image, "make it green"))))
        job_id = await submitted(service, plan)
        await jobs.files.erase(vanishing)
        hold.set()
        job = await ended(service, job_id)
    assert job.state is DONE
    assert [step.state for step in job.steps] == [DONE, FAILED, DONE]
    error = job.steps[1].error
    assert error is not None
    assert (error["code"], error["param"]) == ("not_found", "image")


async def test_a_job_whose_image_has_just_gone_is_not_accepted(jobs: Jobs) -> None:
    async with jobs.running() as service:
        with pytest.raises(NotFound):
            await service.submit(edits((f"img-{'0' * 64}", "make it blue")))
        assert (await service.page(JobQuery())).jobs == ()


async def test_items_run_so_many_at_once(jobs: Jobs, engine: Engine) -> None:
    image = await jobs.store()
    hold = asyncio.Event()
    editor = FaultyEditor(engine, hold=hold)
    plan = edits(*((image, f"make it {number}") for number in range(6)), at_once=2)
    async with jobs.running(editor) as service:
        job_id = await submitted(service, plan)
        while len(editor.jobs) < 2:
            await asyncio.sleep(0.01)
        states = [step.state for step in (await service.get(job_id)).steps]
        assert states.count(JobState.RUNNING) == 2
        hold.set()
        job = await ended(service, job_id)
    assert [step.state for step in job.steps] == [DONE] * 6


async def test_one_user_leaves_room_for_another(jobs: Jobs, engine: Engine) -> None:
    image = await jobs.store()
    hold = asyncio.Event()
    editor = FaultyEditor(engine, hold=hold)
    async with jobs.running(editor, running=2, running_per_user=1) as service:
        plans = [edits((image, f"make it {n}"), user="studio") for n in range(3)]
        ids = [await submitted(service, plan) for plan in plans]
        other = await submitted(service, edits((image, "make it red"), user="agency"))
        await running(service, other)
        while len(editor.jobs) < 2:
            await asyncio.sleep(0.01)
        states = [(await service.get(one)).state for one in ids]
        assert sorted(states) == [JobState.QUEUED, JobState.QUEUED, JobState.RUNNING]
        hold.set()
        for job_id in (*ids, other):
            assert (await ended(service, job_id)).state is DONE


async def test_a_full_queue_takes_no_more_jobs_but_knows_those_it_has(
    jobs_anywhere: Jobs, engine: Engine
) -> None:
    jobs = jobs_anywhere
    hold = asyncio.Event()
    plan = edits((await jobs.store(), "make it blue"))
    key = IdempotencyKey.of("a key", plan.to_json())
    late = IdempotencyKey.of("a late key", plan.to_json())
    async with jobs.running(FaultyEditor(engine, hold=hold), running=1, queued=2) as service:
        await running(service, await submitted(service, plan))
        second = await service.submit(plan, key)
        third = await submitted(service, plan)
        with pytest.raises(Overloaded) as refused:
            await service.submit(plan, late)
        assert refused.value.retry_after_s is not None
        with pytest.raises(Overloaded):
            await service.fork(second.id, Fork(0))
        assert (await service.submit(plan, key)).id == second.id
        assert len((await service.page(JobQuery())).jobs) == 3
        hold.set()
        await ended(service, third)
        assert (await service.submit(plan, late)).id not in (second.id, third)


async def test_jobs_of_higher_priority_run_first(jobs: Jobs, engine: Engine) -> None:
    image = await jobs.store()
    hold = asyncio.Event()
    editor = FaultyEditor(engine, hold=hold)
    async with jobs.running(editor, running=1, running_per_user=1) as service:
        first = await submitted(service, edits((image, "make it 0")))
        await running(service, first)
        ids = [
            await submitted(service, edits((image, f"make it {n}"), priority=n)) for n in (1, 9, 5)
        ]
        while len(await service._runs.known([(one, 1) for one in ids])) < len(ids):
            await asyncio.sleep(0.01)
        hold.set()
        for job_id in ids:
            await ended(service, job_id)
    assert [job.prompt for job in editor.jobs[1:]] == ["make it 9", "make it 5", "make it 1"]


async def test_a_full_service_is_waited_for(jobs: Jobs, engine: Engine) -> None:
    editor = FaultyEditor(engine, failing=2, error=Overloaded("Full.", None, 0.01))
    async with jobs.running(editor) as service:
        job = await ended(
            service, await submitted(service, edits((await jobs.store(), "make it blue")))
        )
    assert job.state is DONE
    assert len(editor.jobs) == 3


async def test_what_takes_editors_down_is_not_tried_again(jobs: Jobs, engine: Engine) -> None:
    editor = FaultyEditor(engine, failing=9, error=Quarantined("It stopped the editor twice."))
    async with jobs.running(editor) as service:
        job = await ended(
            service, await submitted(service, edits((await jobs.store(), "make it blue")))
        )
    assert job.error is not None
    assert job.error["code"] == "quarantined"
    assert len(editor.jobs) == 1


async def test_after_the_deadline_no_editor_is_asked(jobs: Jobs, engine: Engine) -> None:
    editor = FaultyEditor(engine)
    plan = edits((await jobs.store(), "make it blue"), deadline_s=1e-6)
    async with jobs.running(editor) as service:
        job = await ended(service, await submitted(service, plan))
    assert job.state is FAILED
    assert job.error is not None
    assert (job.error["code"], job.error["param"]) == ("deadline_exceeded", "deadline_s")
    assert not editor.jobs


async def test_a_running_job_is_cancelled_in_the_middle_of_an_edit(
    jobs_anywhere: Jobs, engine: Engine
) -> None:
    jobs = jobs_anywhere
    image = await jobs.store()
    plan = chain(image, "make it blue", "make it red")
    long = replace(plan.steps[0], parameters={"prompt": "slow", "num_inference_steps": 200})
    async with jobs.running() as service:
        job_id = await submitted(service, replace(plan, steps=(long, plan.steps[1])))
        async for event in service.events(job_id, 0):
            if event.name == "progress" and (await service.get(job_id)).state is JobState.RUNNING:
                await service.cancel(job_id)
        job = await service.get(job_id)
        while engine.load_figures()["pending"]:
            await asyncio.sleep(0.01)
        assert job.state is CANCELLED
        assert [step.state for step in job.steps] == [CANCELLED, CANCELLED]
        with pytest.raises(WrongState):
            await service.cancel(job_id)
        # It can be taken up again.
        again = await service.retry(job_id)
        assert (again.state, again.run) == (JobState.QUEUED, 2)
        await service.cancel(job_id)


async def test_a_queued_job_is_cancelled_and_never_runs(jobs: Jobs, engine: Engine) -> None:
    image = await jobs.store()
    hold = asyncio.Event()
    editor = FaultyEditor(engine, hold=hold)
    async with jobs.running(editor, running=1, running_per_user=1) as service:
        first = await submitted(service, edits((image, "make it blue")))
        await running(service, first)
        second = await submitted(service, edits((image, "make it red")))
        assert (await service.cancel(second)).state is CANCELLED
        third = await submitted(service, edits((image, "make it green")))
        hold.set()
        assert (await ended(service, third)).state is DONE
    assert [job.prompt for job in editor.jobs] == ["make it blue", "make it green"]


async def test_a_job_that_is_cancelled_just_before_its_edit_does_not_begin_it(
    jobs_anywhere: Jobs, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_anywhere
    image = await jobs.store()
    editor = FaultyEditor(engine)
    kept, go_on = asyncio.Event(), asyncio.Event()
    put_step = Catalogue.put_step

    async def slow_put_step(
        self: Catalogue, job_id: str, run: int, record: StepRecord, *, told: bool = True
    ) -> bool:
        done = await put_step(self, job_id, run, record, told=told)
        kept.set()
        await go_on.wait()
        return done

    monkeypatch.setattr(Catalogue, "put_step", slow_put_step)
    async with jobs.running(editor, running=1, running_per_user=1) as service:
        first = await submitted(service, edits((image, "make it blue")))
        await kept.wait()
        assert (await service.cancel(first)).state is CANCELLED
        go_on.set()
        second = await submitted(service, edits((image, "make it red")))
        assert (await ended(service, second)).state is DONE
    assert [job.prompt for job in editor.jobs] == ["make it red"]


async def test_a_retry_begins_at_the_step_that_failed(jobs_anywhere: Jobs, engine: Engine) -> None:
    jobs = jobs_anywhere
    editor = FaultyEditor(engine, failing_at=2)
    async with jobs.running(editor) as service:
        plan = chain(await jobs.store(), "make it blue", "make it red", "make it green")
        failed = await ended(service, await submitted(service, plan))
        assert failed.state is FAILED
        await service.retry(failed.id)
        job = await ended(service, failed.id)
        with pytest.raises(WrongState):
            await service.retry(job.id)
    assert job.state is DONE
    assert job.steps[0] == failed.steps[0]
    prompts = [one.prompt for one in editor.jobs]
    assert prompts == ["make it blue", "make it red", "make it red", "make it green"]


async def test_a_rejected_step_is_retried_with_another_seed(jobs: Jobs, engine: Engine) -> None:
    editor = FaultyEditor(engine, flat=1)
    plan = chain(await jobs.store(), "make it blue")
    once = StepPlan(plan.steps[0].parameters | {"max_attempts": 1})
    async with jobs.running(editor) as service:
        rejected = await ended(service, await submitted(service, replace(plan, steps=(once,))))
        await service.retry(rejected.id)
        job = await ended(service, rejected.id)
    assert (rejected.state, job.state) == (FAILED, DONE)
    assert job.steps[0].seed != rejected.steps[0].seed


async def test_a_fork_takes_over_what_is_done_and_runs_other_later_steps(
    jobs_anywhere: Jobs, engine: Engine
) -> None:
    jobs = jobs_anywhere
    editor = FaultyEditor(engine)
    plan = chain(await jobs.store(), "make it blue", "make it red")
    async with jobs.running(editor) as service:
        job = await ended(service, await submitted(service, plan))
        later = (StepPlan({"prompt": "make it green"}), StepPlan({"prompt": "make it dark"}))
        fork = await service.fork(job.id, Fork(1, later))
        fork = await ended(service, fork.id)
        assert await service.get(job.id) == job
    assert fork.id != job.id
    assert fork.forked_from == job.id
    assert fork.state is DONE
    assert fork.steps[0].result == job.steps[0].result
    prompts = [one.prompt for one in editor.jobs]
    assert prompts == ["make it blue", "make it red", "make it green", "make it dark"]
    assert [step["prompt"] for step in fork.plan.specification["steps"]] == [
        "make it blue",
        "make it green",
        "make it dark",
    ]


async def test_a_fork_needs_the_steps_before_it(jobs: Jobs, engine: Engine) -> None:
    hold = asyncio.Event()
    editor = FaultyEditor(engine, hold=hold)
    async with jobs.running(editor) as service:
        plan = chain(await jobs.store(), "make it blue", "make it red")
        job_id = await submitted(service, plan)
        await running(service, job_id)
        for first in (1, 2, -1):
            with pytest.raises(InvalidRequest):
                await service.fork(job_id, Fork(first))
        hold.set()
        await ended(service, job_id)


async def test_an_erased_job_leaves_nothing_that_others_do_not_use(jobs_anywhere: Jobs) -> None:
    jobs = jobs_anywhere
    own, shared = await jobs.store("coffee"), await jobs.store("chelsea")
    async with jobs.running() as service:
        one = await ended(
            service,
            await submitted(service, edits((own, "make it blue"), (shared, "make it blue"))),
        )
        other = await ended(service, await submitted(service, edits((shared, "make it blue"))))
        mine, both = (str(step.result) for step in one.steps)
        assert other.result == both  # from the cache
        await service.delete(one.id)
        with pytest.raises(NotFound):
            await service.get(one.id)
        assert await jobs.files.png(own) is None
        assert await jobs.results.image(mine) is None
        assert await jobs.files.png(shared) is not None
        assert await jobs.results.image(both) is not None
        await service.delete(other.id)
        assert await jobs.files.png(shared) is None
        assert await jobs.results.image(both) is None
        # Nor does the cache answer with it any more.
        image = await jobs.store("coffee")
        again = await ended(service, await submitted(service, edits((image, "make it blue"))))
        assert again.result != mine


async def test_a_running_job_is_ended_before_it_is_erased(jobs: Jobs, engine: Engine) -> None:
    hold = asyncio.Event()
    async with jobs.running(FaultyEditor(engine, hold=hold)) as service:
        job_id = await submitted(service, edits((await jobs.store(), "make it blue")))
        await running(service, job_id)
        await service.delete(job_id)
        assert (await service.page(JobQuery())).jobs == ()
        hold.set()


async def test_jobs_and_images_go_after_their_time(jobs: Jobs) -> None:
    image = await jobs.store()
    async with jobs.running(keep_s=3600.0) as service:
        job = await ended(service, await submitted(service, edits((image, "make it blue"))))
        unused = await jobs.store("chelsea")
    jobs.config = jobs.config.model_copy(
        update={"storage": jobs.config.storage.model_copy(update={"keep_s": 1e-6})}
    )
    async with jobs.running(keep_s=3600.0):  # what is in use stays
        while await jobs.files.png(unused) is not None:
            await asyncio.sleep(0.01)
        assert await jobs.files.png(image) is not None
        assert await jobs.results.image(str(job.result)) is not None
    async with jobs.running(keep_s=1e-6) as service:
        while (await service.page(JobQuery())).jobs:
            await asyncio.sleep(0.01)
        while await jobs.files.png(image) is not None:
            await asyncio.sleep(0.01)
        assert await jobs.results.image(str(job.result)) is None


async def test_a_deadline_passes_in_the_queue(jobs: Jobs, engine: Engine) -> None:
    image = await jobs.store()
    hold = asyncio.Event()
    editor = FaultyEditor(engine, hold=hold)
    async with jobs.running(editor, running=1, running_per_user=1) as service:
        first = await submitted(service, edits((image, "make it blue")))
        await running(service, first)
        late = await submitted(service, edits((image, "make it red"), deadline_s=0.01))
        job = await ended(service, late)  # though the first one still has the only place
        assert job.state is FAILED
        assert job.error is not None
        assert job.error["code"] == "deadline_exceeded"
        hold.set()
        await ended(service, first)
    assert [one.prompt for one in editor.jobs] == ["make it blue"]


async def test_a_fork_does_not_take_over_what_was_never_done(jobs: Jobs, engine: Engine) -> None:
    plan = chain(await jobs.store(), "make it blue", "make it red", "make it green")
    async with jobs.running(FaultyEditor(engine, failing_at=2)) as service:
        job = await ended(service, await submitted(service, plan))
        with pytest.raises(InvalidRequest):
            await service.fork(job.id, Fork(2))
        fork = await service.fork(job.id, Fork(1))
        assert (await ended(service, fork.id)).state is DONE


async def test_the_backlog_counts_what_is_queued_and_running(jobs_anywhere: Jobs) -> None:
    jobs = jobs_anywhere
    image = await jobs.store()
    async with jobs.running() as service:
        assert await service.backlog() == JobBacklog()
        job = await service.submit(chain(image, "make it blue"))
        await ended(service, job.id)
        assert await service.backlog() == JobBacklog()
        other = await service.submit(chain(image, "make it red"))
        backlog = await service.backlog()
        assert backlog.queued + backlog.running == 1
        await service.cancel(other.id)
        assert await service.backlog() == JobBacklog()


async def test_whoever_waits_for_jobs_that_can_not_run_is_told(
    jobs: Jobs, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(DurableRuns, "launch", fail)  # as a database that refuses its tables
    gateway = assemble(jobs.config, engine)
    service = JobService(jobs.config, gateway, gateway.forget)
    service.start()
    with pytest.raises(NotReady):
        await service.launched()
    with pytest.raises(NotReady):
        await service.check()
    await service.close()
