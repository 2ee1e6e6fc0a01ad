"""The end of a job that people look at: its contact sheet and its manifest."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from serve_app.errors import EditServiceError
from serve_app.images.contact_sheet import Cell, contact_sheet_from
from serve_app.images.encoding import encode
from serve_app.images.pixels import RGB, content_id
from serve_app.storage.files import FileStore
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.inputs import Inputs
from serve_app.workflows.jobs.insisting import insist
from serve_app.workflows.jobs.job import Job, JobState
from serve_app.workflows.jobs.manifest import files_of, manifest_of
from serve_app.workflows.jobs.outputs import JobOutputs
from serve_app.workflows.jobs.shown import Shown, columns_of, shown_of

logger = logging.getLogger(__name__)

_NOTHING: RGB = np.full((240, 320, 3), 236, np.uint8)
"""Stands where no picture came, or it is gone."""


_MOST_SHOWN = 1000
"""Pictures on one sheet; the manifest and the archive have all."""


@dataclass(frozen=True, slots=True)
class _Sheet:
    id: str
    png: bytes


class Presenter:
    """Makes the outputs of jobs that have ended; blocking work runs in a thread."""

    def __init__(self, catalogue: Catalogue, inputs: Inputs, files: FileStore) -> None:
        self._catalogue = catalogue
        self._inputs = inputs
        self._files = files

    async def present(self, job_id: str, run: int) -> None:
        """Make and keep the outputs of a job, unless ``run`` is not wanted any more."""
        job = await insist(lambda: self._catalogue.find(job_id))
        if job is None or job.run != run or job.state.final:
            return
        job = _as_it_will_be(job)
        sheet = await self._sheet(job)
        claimed = partial(self._catalogue.claim, job_id, run, {sheet.id})
        if not await insist(claimed):
            return
        await insist(lambda: self._files.put(sheet.id, sheet.png))
        made = await asyncio.to_thread(
            lambda: JobOutputs(sheet.id, manifest_of(job), files_of(job))
        )
        await insist(lambda: self._catalogue.put_outputs(job_id, run, made))

    async def _sheet(self, job: Job) -> _Sheet:
        shown = shown_of(job)
        some = shown[:_MOST_SHOWN]
        loop = asyncio.get_running_loop()

        def cell_at(index: int) -> Cell:
            one = some[index]
            picture = asyncio.run_coroutine_threadsafe(self._picture(one), loop).result()
            return Cell(picture, one.title, one.lines, one.tone)

        def drawn() -> _Sheet:
            title = job.label or str(job.kind).replace("_", " ")
            all_of_them = len(some) == len(shown)
            note = "" if all_of_them else f"The first {len(some):,} of {len(shown):,} pictures."
            page = contact_sheet_from(title, len(some), cell_at, columns_of(job), note)
            return _Sheet(content_id(page), encode(page))

        return await asyncio.to_thread(drawn)

    async def _picture(self, one: Shown) -> RGB:
        if one.image is None:
            return _NOTHING
        image_id = one.image
        try:
            return (await insist(lambda: self._inputs.image(image_id))).pixels
        except EditServiceError as error:
            logger.warning("a picture of a contact sheet is left out: %s", error.code)
            return _NOTHING


def _as_it_will_be(job: Job) -> Job:
    """``job`` at its end, which is about to come: what was not run until now never will be."""
    steps = tuple(
        step if step.state.final else replace(step, state=JobState.SKIPPED) for step in job.steps
    )
    return replace(job, steps=steps)
