"""The formats of a brand set: made of each edit as soon as it is there."""

from __future__ import annotations

import asyncio

from serve_app.config import BrandConfig
from serve_app.edits.result import EditResult
from serve_app.images.pixels import RGB
from serve_app.quality.report import Verdict
from serve_app.storage.files import FileStore
from serve_app.workflows.brand_sets.plan import BrandSet
from serve_app.workflows.brand_sets.rendering import Artwork
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.inputs import Inputs
from serve_app.workflows.jobs.insisting import insist
from serve_app.workflows.jobs.job import Job
from serve_app.workflows.jobs.step import NotWanted, Settled


class Formats:
    """Makes and stores the formats of one run of a job; what all have in common is made once."""

    def __init__(
        self,
        job: Job,
        brand_set: BrandSet,
        catalogue: Catalogue,
        inputs: Inputs,
        files: FileStore,
        config: BrandConfig,
    ) -> None:
        self._job = job
        self._brand_set = brand_set
        self._catalogue = catalogue
        self._inputs = inputs
        self._files = files
        self._config = config
        self._artwork: Artwork | None = None
        self._one_makes_it = asyncio.Lock()

    async def make(self, index: int, result: EditResult) -> Settled:
        """Every format that the step ``index`` is for, unless its ``result`` was rejected."""
        if result.verdict == Verdict.FAIL:
            return Settled()
        artwork = await self._common()
        variation, targets = self._brand_set.of_step(index)
        picture = await self._inputs.decoded(result.png)
        outputs = []
        for target in targets:
            made = await asyncio.to_thread(
                artwork.render, picture.pixels, target, variation, self._brand_set.fit
            )
            await self._keep(made.id, made.png)
            outputs.append(made.to_json())
        return Settled(outputs=tuple(outputs))

    async def _keep(self, file_id: str, png: bytes) -> None:
        job = self._job
        if not await insist(lambda: self._catalogue.claim(job.id, job.run, {file_id})):
            raise NotWanted
        await insist(lambda: self._files.put(file_id, png))

    async def _common(self) -> Artwork:
        async with self._one_makes_it:
            if self._artwork is None:
                brand = self._brand_set.brand
                logo, opacity = None, None
                if brand.logo is not None:
                    logo = await self._picture(brand.logo.image)
                    if brand.logo.opacity is not None:
                        opacity = await self._picture(brand.logo.opacity)
                widest = max(target.width for target in self._brand_set.targets)
                self._artwork = await asyncio.to_thread(
                    Artwork.of, brand, self._config, logo, opacity, widest
                )
            return self._artwork

    async def _picture(self, image_id: str) -> RGB:
        return (await insist(lambda: self._inputs.image(image_id))).pixels
