"""What workflows cost and what they keep: `python -m benchmarks.workflows`.

The whole service in one process on the miniature, with a counter before the editor. Drift is
measured with an editor that moves pictures as the real models do.
"""

from __future__ import annotations

import asyncio
import io
import statistics
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from skimage.registration import phase_cross_correlation

from benchmarks.drifting import DriftingEditor
from benchmarks.photos import photo
from benchmarks.report import REPOSITORY, RESULTS, Figure, Target, publish, wide_console
from serve_app.api.brand_parsing import BrandReader
from serve_app.api.job_references import References
from serve_app.config import ServiceConfig
from serve_app.edits.job import EditedImage, EditJob, EditorEvent
from serve_app.edits.model import ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.engine.engine import Engine
from serve_app.images.encoding import encode
from serve_app.images.framing import Fit
from serve_app.images.pixels import RGB, DecodedImage
from serve_app.storage.blobs import BlobStore
from serve_app.storage.files import FileStore
from serve_app.storage.results import ResultStore
from serve_app.workflows.in_process import assemble
from serve_app.workflows.jobs.job import Job
from serve_app.workflows.jobs.plan import JobKind, JobPlan, StepPlan
from serve_app.workflows.jobs.service import JobService
from serve_app.workflows.ports import Editor

PHOTOS = 6
SIDE = 512
STEPS = 6
VARIATIONS: tuple[Any, ...] = (
    {"name": "yellow", "prompt": "make the red circle yellow", "caption": "Up and away"},
    {"name": "night", "prompt": "make it night", "caption": "Night flights"},
    {"name": "sketch", "prompt": "turn the picture into a pencil drawing"},
)
BRAND = {"name": "Acme", "colors": ["#C8281E", "#1E3C78", "#FFFFFF"], "logo_position": "top_right"}
VARIANTS = {
    "yellow": "make the green square yellow",
    "without": "remove the green square",
    "night": "make it night",
    "sketch": "turn the picture into a pencil drawing",
}


class CountingEditor:
    """The engine, and how many edits it was given."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.edits = 0

    async def describe(self) -> ModelDescription:
        return await self._engine.describe()

    async def check(self) -> None:
        await self._engine.check()

    async def edit(self, job: EditJob) -> EditedImage:
        self.edits += 1
        return await self._engine.edit(job)

    def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        self.edits += 1
        return self._engine.stream(job)

    async def ask(self, question: Question) -> Reply:
        return await self._engine.ask(question)


@dataclass(frozen=True, slots=True)
class Bench:
    """One engine, and a folder for all that is stored."""

    config: ServiceConfig
    engine: Engine

    @property
    def files(self) -> FileStore:
        return FileStore(BlobStore(self.config.storage.root))

    async def stored(self, pixels: RGB) -> str:
        image = DecodedImage.of(pixels)
        await self.files.put(image.id, encode(pixels))
        return image.id

    async def result(self, result_id: str | None) -> RGB:
        png = await ResultStore(BlobStore(self.config.storage.root)).image(str(result_id))
        with Image.open(io.BytesIO(png or b"")) as image:
            return np.asarray(image.convert("RGB"))

    @asynccontextmanager
    async def running(self, editor: Editor) -> AsyncIterator[JobService]:
        gateway = assemble(self.config, editor)
        service = JobService(self.config, gateway, gateway.forget)
        service.start()
        await service.launched()
        try:
            yield service
        finally:
            await service.close()


def main() -> None:
    console = wide_console()
    with tempfile.TemporaryDirectory(prefix="qew-") as folder:
        bench = _bench(Path(folder))
        try:
            figures, details = asyncio.run(_measured(bench))
        finally:
            bench.engine.close()
    publish(console, "workflows", figures, details)


def _bench(folder: Path) -> Bench:
    settings = yaml.safe_load((REPOSITORY / "configs" / "local.yaml").read_text())
    arguments = settings["applications"][0]["args"] | {"storage": {"root": str(folder)}}
    # One attempt each, so that edits and plans can be counted against each other.
    arguments["planning"] |= {"max_attempts": 1}
    config = ServiceConfig.model_validate(arguments)
    engine = Engine.load(config.model, config.engine)
    engine.warm_up()
    return Bench(config, engine)


async def _measured(bench: Bench) -> tuple[list[Figure], dict[str, Any]]:
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    await _brand_set(bench, figures, details)
    await _variants(bench, figures, details)
    await _drift(bench, figures, details)
    return figures, details


async def _brand_set(bench: Bench, figures: list[Figure], details: dict[str, Any]) -> None:
    config = bench.config
    reader = BrandReader(config.limits, config.brand, config.jobs.max_steps, References({}, 4))
    brand_set = reader.brand_set({"brand": BRAND, "variations": list(VARIATIONS)}, Fit.AUTO)
    image = await bench.stored(_scene("balloon"))
    plan = JobPlan(JobKind.BRAND_SET, reader.steps(brand_set), images=(image,), brand_set=brand_set)
    editor = CountingEditor(bench.engine)
    async with bench.running(editor) as service:
        job = await _ended(service, plan)
        manifest = (await service.outputs(job.id)).manifest
        await _save_sheet(bench, service, job, "brand_set")
    pictures = len(VARIATIONS) * len(brand_set.targets)
    expected = len(VARIATIONS) * len(brand_set.groups)
    figures.append(
        Figure(
            "brand set of 3 variations in 5 formats: edits",
            editor.edits,
            "edits",
            Target(expected),
            f"{pictures} pictures in {len(brand_set.groups)} shapes",
        )
    )
    details["brand_set"] = {
        "groups": [[brand_set.targets[i].name for i in group] for group in brand_set.groups],
        "pictures": len(manifest["outputs"]),
        "missing": len(manifest["missing"]),
    }


async def _variants(bench: Bench, figures: list[Figure], details: dict[str, Any]) -> None:
    image = await bench.stored(_scene("toys"))  # which no edit before has met
    steps = tuple(StepPlan({"prompt": prompt}, name=name) for name, prompt in VARIANTS.items())
    plan = JobPlan(JobKind.VARIANTS, steps, images=(image,), success_metric="clicks")
    before = bench.engine.load_figures()["encoded_images"]
    async with bench.running(bench.engine) as service:
        job = await _ended(service, plan)
        await _save_sheet(bench, service, job, "variants")
    encoded = bench.engine.load_figures()["encoded_images"] - before
    figures.append(
        Figure(
            f"{len(VARIANTS)} variants of one picture: encodings of it",
            encoded,
            "encodings",
            Target(1),
            f"{len(VARIANTS)} edits",
        )
    )
    details["variants"] = {str(step.name): step.verdict for step in job.steps}


async def _drift(bench: Bench, figures: list[Figure], details: dict[str, Any]) -> None:
    drifts: dict[bool, list[float]] = {False: [], True: []}
    sharpness: dict[bool, list[float]] = {False: [], True: []}
    shifts: dict[bool, list[float]] = {False: [], True: []}
    async with bench.running(DriftingEditor(bench.engine)) as service:
        for number in range(PHOTOS):
            # Squares one beside the other overlap nearly wholly.
            pixels = _grown(photo(40 * number, SIDE // 2))
            image = await bench.stored(pixels)
            for repair in (False, True):
                job = await _ended(service, _chain(image, number, repair=repair))
                last = job.steps[-1].drift or {}
                drifts[repair].append(last["percent"])
                sharpness[repair].append(last["sharpness"])
                shifts[repair].append(_shift(pixels, await bench.result(job.result)))
            if number == 0:
                await _save_sheet(bench, service, job, "chain")
    ratio = statistics.mean(drifts[True]) / statistics.mean(drifts[False])
    figures.append(
        Figure(
            f"drift after {STEPS} edits, repaired, over not repaired",
            ratio,
            "x",
            Target(0.3),
            f"{statistics.mean(drifts[True]):.3f} % against "
            f"{statistics.mean(drifts[False]):.3f} % of the diagonal, {PHOTOS} photos",
        )
    )
    figures.append(
        Figure(
            "the same by phase correlation of the quarters, which the repair does not use",
            statistics.mean(shifts[True]) / statistics.mean(shifts[False]),
            "x",
            Target(0.3),
            f"{statistics.mean(shifts[True]):.3f} % against {statistics.mean(shifts[False]):.3f} %",
        )
    )
    figures.append(
        Figure(
            "sharpness left after them, repaired",
            statistics.mean(sharpness[True]),
            "x",
            None,
            f"{statistics.mean(sharpness[False]):.3f} x not repaired: the editor resamples, too",
        )
    )
    details["drift"] = {
        "percent_not_repaired": drifts[False],
        "percent_repaired": drifts[True],
        "percent_by_phase_correlation_not_repaired": shifts[False],
        "percent_by_phase_correlation_repaired": shifts[True],
        "sharpness_not_repaired": sharpness[False],
        "sharpness_repaired": sharpness[True],
    }


def _shift(first: RGB, last: RGB) -> float:
    """The farthest that a quarter of the picture has moved, in percent of the diagonal."""
    height, width, _ = first.shape
    before, after = (pixels.mean(axis=-1) for pixels in (first, last))
    halves = [
        (slice(0, height // 2), slice(height // 2, height)),
        (slice(0, width // 2), slice(width // 2, width)),
    ]
    moved = []
    for quarter in product(*halves):
        shift, *_ = phase_cross_correlation(before[quarter], after[quarter], upsample_factor=50)
        moved.append(np.hypot(*shift))
    return float(100 * max(moved) / np.hypot(height, width))


def _chain(image: str, seed: int, *, repair: bool) -> JobPlan:
    steps = tuple(
        StepPlan({"prompt": "make it warmer", "edit_type": "semantic", "seed": 100 * seed + step})
        for step in range(STEPS)
    )
    return JobPlan(JobKind.CHAIN, steps, images=(image,), repair_drift=repair)


async def _ended(service: JobService, plan: JobPlan) -> Job:
    job = await service.submit(plan)
    async for _ in service.events(job.id, 0):
        pass
    return await service.get(job.id)


async def _save_sheet(bench: Bench, service: JobService, job: Job, name: str) -> None:
    outputs = await service.outputs(job.id)
    png = await bench.files.png(outputs.contact_sheet)
    if png is None:
        raise RuntimeError("the contact sheet is gone")
    (RESULTS / f"{name}.png").write_bytes(png)


def _scene(name: str) -> RGB:
    with Image.open(REPOSITORY / "serve_app" / "samples" / f"{name}.png") as image:
        return np.asarray(image.convert("RGB"))


def _grown(pixels: RGB) -> RGB:
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main()
