"""Variants of one picture, and the analyses that are kept with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serve_app.engine.engine import Engine
from serve_app.errors import InvalidRequest, NotFound
from serve_app.workflows.jobs.job import JobState
from serve_app.workflows.jobs.plan import JobKind, JobPlan, StepPlan
from tests.conftest import decoded
from tests.workflows.faulty_editor import FaultyEditor
from tests.workflows.jobs.conftest import Jobs, chain, ended

DONE, FAILED = JobState.SUCCEEDED, JobState.FAILED


def variants(image: str, **prompts: str) -> JobPlan:
    steps = tuple(
        StepPlan({"prompt": prompt, "max_attempts": 1}, name=name, hypothesis=f"{name} sells")
        for name, prompt in prompts.items()
    )
    return JobPlan(JobKind.VARIANTS, steps, images=(image,), success_metric="clicks")


async def test_variants_are_edits_of_one_picture_encoded_once(
    jobs_anywhere: Jobs, engine: Engine
) -> None:
    jobs = jobs_anywhere
    # A picture that the engine has not met in another test, nor on the other database.
    on_sqlite = jobs.config.jobs.database is None
    image = await jobs.store("chelsea", (112, 80) if on_sqlite else (80, 112))
    before = engine.load_figures()["encoded_images"]
    async with jobs.running() as service:
        plan = variants(image, calm="make it blue", loud="make it red", odd="make it green")
        job = await ended(service, (await service.submit(plan)).id)
        outputs = await service.outputs(job.id)
    assert engine.load_figures()["encoded_images"] == before + 1
    assert job.state is DONE
    assert [step.name for step in job.steps] == ["calm", "loud", "odd"]
    assert len({step.result for step in job.steps}) == 3
    assert outputs.files == {f"{step.name}.png": step.result for step in job.steps}
    manifest = outputs.manifest
    assert manifest["success_metric"] == "clicks"
    assert manifest["image"] == image
    for step in job.steps:
        told = manifest["variants"][step.name]
        assert told["ready"]
        assert told["hypothesis"] == f"{step.name} sells"
        assert (told["result"], told["seed"]) == (step.result, step.seed)
    sheet = await jobs.files.png(outputs.contact_sheet)
    assert sheet is not None
    assert min(decoded(sheet).shape[:2]) > 100


async def test_a_rejected_variant_is_not_ready_and_one_is_no_test(
    jobs: Jobs, engine: Engine
) -> None:
    image = await jobs.store()
    one_at_a_time = replace(
        variants(image, calm="make it blue", loud="make it red", odd="make it green"), at_once=1
    )
    two = replace(one_at_a_time, steps=one_at_a_time.steps[:2])
    async with jobs.running(FaultyEditor(engine, flat_at=1)) as service:
        job = await ended(service, (await service.submit(one_at_a_time)).id)
        manifest = (await service.outputs(job.id)).manifest
    assert job.state is DONE
    ready = {name: variant["ready"] for name, variant in manifest["variants"].items()}
    assert ready == {"calm": False, "loud": True, "odd": True}
    assert manifest["variants"]["calm"]["error"]["code"] == "edit_rejected"
    other = await jobs.store("astronaut")
    async with jobs.running(FaultyEditor(engine, flat_at=1)) as service:
        job = await ended(service, (await service.submit(replace(two, images=(other,)))).id)
        assert job.state is FAILED
        assert job.error is not None
        assert job.error["step"] == 0
        # A retry runs what was rejected alone, with another seed, and makes the sheet anew.
        loud = job.steps[1].result
        await service.retry(job.id)
        job = await ended(service, job.id)
        assert job.state is DONE
        assert job.steps[1].result == loud
        assert (await service.outputs(job.id)).manifest["variants"]["calm"]["ready"]


def analysis(*names: str, at: str = "2026-01-01T00:00:00.000+00:00") -> dict[str, Any]:
    return {
        "variants": {name: {} for name in names},
        "metric": "clicks",
        "verdict": "winner",
        "created_at": at,
    }


async def test_analyses_are_kept_with_their_dates(jobs_anywhere: Jobs) -> None:
    jobs = jobs_anywhere
    image = await jobs.store()
    first = analysis("calm", "original")
    second = analysis("calm", "loud", at="2026-01-02T00:00:00.000+00:00")
    async with jobs.running() as service:
        job = await service.submit(variants(image, calm="make it blue", loud="make it red"))
        assert await service.analyses(job.id) == []
        for one in (first, second):
            await service.keep_analysis(job.id, one)
        assert await service.analyses(job.id) == [first, second]
        await ended(service, job.id)
        await service.delete(job.id)
        with pytest.raises(NotFound):
            await service.analyses(job.id)


async def test_an_analysis_of_something_else_is_not_kept(jobs: Jobs) -> None:
    image = await jobs.store()
    async with jobs.running() as service:
        test = await service.submit(variants(image, calm="make it blue", loud="make it red"))
        other = await service.submit(chain(image, "make it blue"))
        with pytest.raises(InvalidRequest) as unknown:
            await service.keep_analysis(test.id, analysis("calm", "quiet"))
        assert unknown.value.param == "variants.quiet"
        with pytest.raises(InvalidRequest, match="must be clicks") as unplanned:
            await service.keep_analysis(test.id, analysis("calm", "loud") | {"metric": "users"})
        assert unplanned.value.param == "metric"
        with pytest.raises(InvalidRequest) as wrong:
            await service.keep_analysis(other.id, analysis("calm", "loud"))
        assert wrong.value.param == "job"
        with pytest.raises(NotFound):
            await service.keep_analysis(f"job-{'0' * 32}", analysis("calm", "loud"))
        assert await service.analyses(test.id) == []
