"""Brand sets: one edit for each variation and shape, every format of them."""

from __future__ import annotations

from serve_app.config import BrandConfig
from serve_app.engine.engine import Engine
from serve_app.images.framing import Fit
from serve_app.workflows.brand_sets.aspects import grouped
from serve_app.workflows.brand_sets.plan import (
    Brand,
    BrandSet,
    Framing,
    TargetFormat,
    Variation,
)
from serve_app.workflows.jobs.job import JobState
from serve_app.workflows.jobs.plan import JobKind, JobPlan, StepPlan
from tests.conftest import decoded
from tests.workflows.faulty_editor import FaultyEditor
from tests.workflows.jobs.conftest import Jobs, ended

TARGETS = tuple(
    TargetFormat(name, one.platform, one.width // 4, one.height // 4)
    for name, one in BrandConfig().targets.items()
)


def brand_set(image: str, *names: str, fit: Fit = Fit.CROP) -> JobPlan:
    """A brand set in the built-in formats, a quarter as large."""
    variations = tuple(Variation(name, f"make it {name}", {}) for name in names)
    groups = grouped(TARGETS, BrandConfig().aspect_group)
    steps = tuple(
        StepPlan(
            {"prompt": one.prompt, "max_attempts": 1},
            name=f"{one.name}.{TARGETS[group[0]].size}",
            framing=Framing(TARGETS[group[0]].width, TARGETS[group[0]].height, fit, "Fill it."),
        )
        for one in variations
        for group in groups
    )
    whole = BrandSet(Brand(colors=("#0A84FF",)), variations, TARGETS, groups, fit)
    return JobPlan(JobKind.BRAND_SET, steps, images=(image,), at_once=1, brand_set=whole)


async def test_an_edit_for_each_shape_and_a_picture_for_each_format(
    jobs_anywhere: Jobs, engine: Engine
) -> None:
    jobs = jobs_anywhere
    image = await jobs.store(size=(160, 120))
    editor = FaultyEditor(engine)
    async with jobs.running(editor) as service:
        job = await ended(service, (await service.submit(brand_set(image, "blue", "red"))).id)
        outputs = await service.outputs(job.id)
    assert job.state is JobState.SUCCEEDED
    assert len(editor.jobs) == 2 * 3
    # Each edit saw the picture in the shape that it was for.
    shapes = {edit.images[0].shape[1] / edit.images[0].shape[0] for edit in editor.jobs}
    wanted = [270 / 480, 1.0, 300 / 157]
    assert [round(shape, 1) for shape in sorted(shapes)] == [round(one, 1) for one in wanted]
    assert set(outputs.files) == {
        f"{target.platform}/{target.size}/{name}.png"
        for target in TARGETS
        for name in ("blue", "red")
    }
    for name, file in outputs.files.items():
        png = await jobs.files.png(file)
        assert png is not None
        height, width, _ = decoded(png).shape
        assert f"/{width}x{height}/" in name
    manifest = outputs.manifest
    assert manifest["edits"] == 6
    assert manifest["missing"] == []
    assert {output["file"] for output in manifest["outputs"]} == set(outputs.files.values())
    assert all(0.0 <= output["brand_colors"]["share"] <= 1.0 for output in manifest["outputs"])


async def test_padding_tells_the_model_to_fill_it(jobs: Jobs, engine: Engine) -> None:
    image = await jobs.store(size=(160, 120))
    editor = FaultyEditor(engine)
    async with jobs.running(editor) as service:
        plan = brand_set(image, "blue", fit=Fit.PAD)
        await ended(service, (await service.submit(plan)).id)
    for edit in editor.jobs:
        height, width, _ = edit.images[0].shape
        assert width >= 160
        assert height >= 120
        assert edit.prompt.endswith("Fill it.")


async def test_no_format_is_made_of_a_rejected_edit(jobs: Jobs, engine: Engine) -> None:
    image = await jobs.store(size=(160, 120))
    async with jobs.running(FaultyEditor(engine, flat_at=2)) as service:
        job = await ended(service, (await service.submit(brand_set(image, "blue"))).id)
        manifest = (await service.outputs(job.id)).manifest
        assert job.state is JobState.SUCCEEDED
        (missing,) = manifest["missing"]
        assert missing["variation"] == "blue"
        assert missing["targets"] == ["instagram_post"]
        assert missing["error"]["code"] == "edit_rejected"
        assert len(manifest["outputs"]) == 4
        # Erasing it leaves nothing behind.
        files = [output["file"] for output in manifest["outputs"]]
        await service.delete(job.id)
    assert [await jobs.files.png(file) for file in (image, *files)] == [None] * 5


async def test_a_brand_set_survives_the_way_through_the_database(jobs: Jobs) -> None:
    image = await jobs.store()
    plan = brand_set(image, "blue")
    async with jobs.running(running=1) as service:
        job = await service.submit(plan)
        assert (await service.get(job.id)).plan == plan
