"""Chains of edits that each move the picture by a little."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.drifting import DriftingEditor
from serve_app.engine.engine import Engine
from serve_app.images.pixels import RGB, content_id
from serve_app.quality.annotation import Judged
from serve_app.quality.case import Case
from serve_app.quality.report import Verdict
from serve_app.workflows.gateway import EditGateway
from serve_app.workflows.in_process import assemble
from serve_app.workflows.jobs.job import Job, JobState
from serve_app.workflows.jobs.plan import JobKind, JobPlan, StepPlan
from serve_app.workflows.jobs.service import JobService
from tests.conftest import decoded
from tests.workflows.jobs.conftest import Jobs, ended

STEPS = 4


async def drifted(jobs: Jobs, engine: Engine, *steps: StepPlan, repair: bool) -> Job:
    image = await jobs.store("astronaut", (320, 240))
    plan = JobPlan(JobKind.CHAIN, steps, images=(image,), repair_drift=repair)
    async with jobs.running(DriftingEditor(engine)) as service:
        return await ended(service, (await service.submit(plan)).id)


def semantic(prompt: str, **parameters: object) -> StepPlan:
    return StepPlan({"prompt": prompt, "edit_type": "semantic", **parameters})


def percents(job: Job) -> list[float]:
    return [step.drift["percent"] for step in job.steps if step.drift is not None]


async def pixels(jobs: Jobs, result_id: str | None) -> RGB:
    png = await jobs.results.image(str(result_id))
    assert png is not None
    return decoded(png)


async def test_drift_adds_up_unless_it_is_repaired(jobs: Jobs, engine: Engine) -> None:
    steps = [semantic(f"make it warmer {number}") for number in range(STEPS)]
    bare = await drifted(jobs, engine, *steps, repair=False)
    mended = await drifted(jobs, engine, *steps, repair=True)
    for job in (bare, mended):
        assert job.state is JobState.SUCCEEDED
        assert len(percents(job)) == STEPS
    assert percents(bare) == sorted(percents(bare))
    assert percents(mended)[-1] <= 0.3 * percents(bare)[-1]
    assert not any(step.edited for step in bare.steps)
    for step in mended.steps:
        assert step.drift is not None
        assert step.drift["repaired"]
        # What the edit came to is kept beside what was made of it.
        record = await jobs.results.metadata(str(step.result))
        assert record is not None
        assert record["repaired_from"] == step.edited
        assert record["verdict"] == record["report"]["verdict"] == step.verdict
        assert await jobs.results.metadata(str(step.edited)) is not None
    # The next step edits what was laid back.
    second = await jobs.results.metadata(str(mended.steps[1].edited))
    assert second is not None
    first = await pixels(jobs, mended.steps[0].result)

    assert second["request"]["images"] == [content_id(first)]


async def test_another_viewpoint_is_not_laid_back(jobs: Jobs, engine: Engine) -> None:
    steps = [semantic("view it from the side"), semantic("make it warmer")]
    job = await drifted(jobs, engine, *steps, repair=True)
    turned, after = job.steps
    assert turned.drift is not None
    assert (turned.drift["reframed"], turned.drift["repaired"]) == (True, False)
    # What follows is laid over the new view, not over the first one.
    assert after.drift is not None
    assert after.drift["repaired"]
    assert after.drift["percent"] == pytest.approx(turned.drift["percent"], abs=0.1)


async def test_what_a_mask_protects_is_kept_to_the_byte(jobs: Jobs, engine: Engine) -> None:
    step = semantic("make it warmer", mask_box=[100, 60, 200, 160])
    job = await drifted(jobs, engine, step, repair=True)
    (masked,) = job.steps
    assert masked.edited is None
    assert masked.drift is not None
    assert not masked.drift["repaired"]


async def test_a_job_erases_what_it_laid_back(jobs: Jobs, engine: Engine) -> None:
    job = await drifted(jobs, engine, semantic("make it warmer"), repair=True)
    (step,) = job.steps
    async with jobs.running() as service:
        await service.delete(job.id)
    for result_id in (step.result, step.edited):
        assert await jobs.results.metadata(str(result_id)) is None


class OtherOpinion:
    """A gateway whose judge thinks otherwise of what was laid back than of what was made."""

    def __init__(self, gateway: EditGateway, verdict: Verdict) -> None:
        self._gateway = gateway
        self._verdict = verdict
        self.stream = gateway.stream

    async def validate(self, case: Case, picture: bool) -> Judged:
        judged = await self._gateway.validate(case, picture)
        return replace(judged, report=replace(judged.report, verdict=self._verdict))


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
async def test_what_is_laid_back_has_a_verdict_of_its_own(
    jobs: Jobs, engine: Engine, verdict: Verdict
) -> None:
    image = await jobs.store("astronaut", (320, 240))
    plan = JobPlan(JobKind.CHAIN, (semantic("make it warmer"),), (image,), repair_drift=True)
    gateway = assemble(jobs.config, DriftingEditor(engine))
    service = JobService(jobs.config, OtherOpinion(gateway, verdict), gateway.forget)
    service.start()
    (step,) = (await ended(service, (await service.submit(plan)).id)).steps
    await service.close()
    record = await jobs.results.metadata(str(step.result))
    assert record is not None
    assert step.verdict == record["verdict"]
    # What would be rejected is not taken: the result stays as it was made.
    assert (step.edited is None) == (verdict is Verdict.FAIL)
    assert (step.verdict == Verdict.PASS) == (verdict is Verdict.PASS)
