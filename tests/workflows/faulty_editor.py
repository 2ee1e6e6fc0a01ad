"""The real engine with faults switched on, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import numpy as np

from serve_app.edits.job import EditedImage, EditJob, EditorEvent
from serve_app.edits.model import ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.engine.engine import Engine
from serve_app.errors import (
    EditFailed,
)
from serve_app.storage.shared_cache import SharedCache


class FaultyEditor:
    """The real engine with faults switched on: the crashes that can't be had otherwise.

    The first ``flat`` results are black, as an overflowing decoder makes them, the first
    ``copies`` the same as the input; the first ``failing`` edits, or the one numbered
    ``failing_at``, raise ``error``. ``hold`` lets edits
    start and then wait until it is set.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        flat: int = 0,
        copies: int = 0,
        failing: int = 0,
        failing_at: int | None = None,
        error: Exception | None = None,
        hold: asyncio.Event | None = None,
    ) -> None:
        self._engine = engine
        self._flat = flat
        self._copies = copies
        self._failing = failing
        self._failing_at = failing_at
        self._error = error or EditFailed("The device failed.")
        self._hold = hold
        self.started = asyncio.Event()
        self.jobs: list[EditJob] = []

    async def describe(self) -> ModelDescription:
        return await self._engine.describe()

    async def check(self) -> None:
        await self._engine.check()

    async def edit(self, job: EditJob) -> EditedImage:
        self.jobs.append(job)
        number = len(self.jobs)
        self.started.set()
        if self._hold is not None:
            await self._hold.wait()
        if number <= self._failing or number == self._failing_at:
            raise self._error
        edited = await self._engine.edit(job)
        if number <= self._flat:
            return replace(edited, pixels=np.zeros_like(edited.pixels), finite=False)
        if number <= self._copies:
            return replace(edited, pixels=job.images[0])
        return edited

    async def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        self.jobs.append(job)
        async for event in self._engine.stream(job):
            yield event

    async def ask(self, question: Question) -> Reply:
        return await self._engine.ask(question)


async def joined(cache: SharedCache, callers: int) -> None:
    """Return once so many callers wait for the one that leads."""
    while cache.load_figures()["joins"] < callers:
        await asyncio.sleep(0.001)
