"""The editor: one engine on one device. The only process that imports torch."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.affinity import ELSEWHERE
from serve_app.deployments.calls import call, iterate
from serve_app.edits.job import EditedImage, EditJob, EditorEvent, Queued
from serve_app.edits.model import ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.errors import NoAnswer, Overloaded, ReplicaLost


@serve.deployment(name="Editor")
class Editor:
    """Loads the checkpoint and proves that it edits before it reports to be there."""

    def __init__(self, config: ServiceConfig) -> None:
        from serve_app.engine.engine import Engine

        self._engine = Engine.load(config.model, config.engine, ask=config.asks_model)
        self._engine.warm_up()

    async def describe(self) -> ModelDescription:
        return await self._engine.describe()

    async def edit(self, job: EditJob) -> EditedImage:
        return await self._engine.edit(job)

    async def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        async with aclosing(self._engine.stream(job)) as events:
            async for event in events:
                yield event

    async def ask(self, question: Question) -> Reply:
        return await self._engine.ask(question)

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
    """The editors behind a Serve handle, as the workflow's ``Editor``.

    An attempt goes to the replica that its image belongs to, and once more to the next one
    if that replica dies over it or, where there are ``several``, has no place left. The job
    carries its seed, so that the second run gives the same pixels.
    """

    def __init__(self, handle: Any, several: bool) -> None:
        self._handle = handle
        self._elsewhere = (ReplicaLost, Overloaded) if several else (ReplicaLost,)
        self._description: ModelDescription | None = None

    async def describe(self) -> ModelDescription:
        if self._description is None:
            self._description = await call("editor", self._handle.describe.remote())
        return self._description

    async def edit(self, job: EditJob) -> EditedImage:
        """Run an attempt."""
        try:
            return await self._edit(job, job.subject_id)
        except self._elsewhere:
            return await self._edit(job, job.subject_id + ELSEWHERE)

    async def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        """Stream an attempt; a second replica gets it only before the first step is shown."""
        started = False
        try:
            async with aclosing(self._events(job, job.subject_id)) as events:
                async for event in events:
                    started = started or not isinstance(event, Queued)
                    yield event
        except self._elsewhere:
            if started:
                raise
            async with aclosing(self._events(job, job.subject_id + ELSEWHERE)) as events:
                async for event in events:
                    yield event

    async def ask(self, question: Question) -> Reply:
        """Put a question to any editor; raises ``NoAnswer`` if none could answer it."""
        if not (await self.describe()).answers:
            raise NoAnswer("This model can't be asked questions.")
        return await call("editor", self._handle.ask.remote(question))

    async def _edit(self, job: EditJob, session: str) -> EditedImage:
        method = self._handle.options(method_name="edit", session_id=session)
        return await call("editor", method.remote(job))

    def _events(self, job: EditJob, session: str) -> AsyncGenerator[EditorEvent, None]:
        method = self._handle.options(method_name="stream", session_id=session, stream=True)
        return iterate("editor", method.remote(job))

    async def check(self) -> None:
        await call("editor", self._handle.check.remote())
