"""The real engine with faults switched on, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
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

    The first ``flat`` results, and the one numbered ``flat_at``, are black, as an overflowing
    decoder makes them, the first
    ``copies`` the same as the input; the first ``failing`` edits, or the one numbered
    ``failing_at``, raise ``error``. ``hold`` lets edits
    start and then wait until it is set.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        flat: int = 0,
        flat_at: int | None = None,
        copies: int = 0,
        failing: int = 0,
        failing_at: int | None = None,
        error: Exception | None = None,
        hold: asyncio.Event | None = None,
    ) -> None:
        self._engine = engine
        self._flat = flat
        self._flat_at = flat_at
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
        number = await self._begun(job)
        return self._spoilt(number, job, await self._engine.edit(job))

    async def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        number = await self._begun(job)
        async with aclosing(self._engine.stream(job)) as events:
            async for event in events:
                if isinstance(event, EditedImage):
                    event = self._spoilt(number, job, event)
                yield event

    async def _begun(self, job: EditJob) -> int:
        self.jobs.append(job)
        number = len(self.jobs)
        self.started.set()
        if self._hold is not None:
            await self._hold.wait()
        if number <= self._failing or number == self._failing_at:
            raise self._error
        return number

    def _spoilt(self, number: int, job: EditJob, edited: EditedImage) -> EditedImage:
        if number <= self._flat or number == self._flat_at:
            return replace(edited, pixels=np.zeros_like(edited.pixels), finite=False)
        if number <= self._copies:
            return replace(edited, pixels=job.images[0])
        return edited

    async def ask(self, question: Question) -> Reply:
        return await self._engine.ask(question)


async def joined(cache: SharedCache, callers: int) -> None:
    """Return once so many callers wait for the one that leads."""
    while cache.load_figures()["joins"] < callers:
        await asyncio.sleep(0.001)
