"""The editor: one engine on one device. The only process that imports torch."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.calls import call, call_again, iterate
from serve_app.edits.job import EditedImage, EditJob, EditorEvent
from serve_app.edits.model import ModelDescription
from serve_app.errors import ReplicaLost


@serve.deployment(name="Editor")
class Editor:
    """Loads the checkpoint and proves that it edits before it reports to be there."""

    def __init__(self, config: ServiceConfig) -> None:
        from serve_app.engine.engine import Engine

        self._engine = Engine.load(config.model, config.engine, config.storage.folder)
        self._engine.warm_up()

    async def describe(self) -> ModelDescription:
        return await self._engine.describe()

    async def edit(self, job: EditJob) -> EditedImage:
        return await self._engine.edit(job)

    async def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        async with aclosing(self._engine.stream(job)) as events:
            async for event in events:
                yield event

    async def check(self) -> None:
        await self._engine.check()

    async def load_figures(self) -> dict[str, int]:
        return self._engine.load_figures()

    async def check_health(self) -> None:
        """Called by Serve: a device that no longer makes steps gets its replica replaced."""
        await self._engine.check()

    def __del__(self) -> None:
        if engine := getattr(self, "_engine", None):
            engine.close()


class EditorClient:
    """The editors behind a Serve handle, as the workflow's ``Editor``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._streaming = handle.options(stream=True)
        self._description: ModelDescription | None = None

    async def describe(self) -> ModelDescription:
        if self._description is None:
            self._description = await call("editor", self._handle.describe.remote())
        return self._description

    async def edit(self, job: EditJob) -> EditedImage:
        """Run an attempt; once more on another replica if the first one dies.

        The job carries its seed, so that the second run gives the same pixels.
        """
        return await call_again("editor", lambda: self._handle.edit.remote(job))

    async def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        """Stream an attempt; on another replica if the first one dies before any event."""
        started = False
        try:
            async with aclosing(self._events(job)) as events:
                async for event in events:
                    started = True
                    yield event
        except ReplicaLost:
            if started:
                raise
            async with aclosing(self._events(job)) as events:
                async for event in events:
                    yield event

    def _events(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        return iterate("editor", self._streaming.stream.remote(job))

    async def check(self) -> None:
        await call("editor", self._handle.check.remote())
