"""The service's parts in one process, without HTTP and without Ray, from the same classes."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from pathlib import Path

from serve_app.config import ServiceConfig
from serve_app.edits.job import EditedImage, EditJob, EditorEvent
from serve_app.edits.model import ModelDescription
from serve_app.edits.planning import EditPlan
from serve_app.edits.question import Question, Reply
from serve_app.edits.request import EditRequest
from serve_app.edits.result import EditEvent, EditOutcome, EditResult
from serve_app.engine.engine import Engine
from serve_app.images.decode_pool import DecodePool
from serve_app.quality.validator import Validator
from serve_app.storage.blobs import BlobStore
from serve_app.storage.results import ResultStore
from serve_app.storage.shared_cache import SharedCache
from serve_app.workflows.edit import EditWorkflow
from serve_app.workflows.gateway import EditGateway
from serve_app.workflows.in_process import ThreadedJudge


class TimedEditor:
    """The engine as the workflow's ``Editor``; remembers how long the last edit took."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds = 0.0

    async def describe(self) -> ModelDescription:
        return await self._engine.describe()

    async def edit(self, job: EditJob) -> EditedImage:
        started = time.perf_counter()
        edited = await self._engine.edit(job)
        self.seconds = time.perf_counter() - started
        return edited

    def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        return self._engine.stream(job)

    async def ask(self, question: Question) -> Reply:
        return await self._engine.ask(question)

    async def check(self) -> None:
        await self._engine.check()


class TimedRouter:
    """The workflow as the gateway's ``Router``; remembers how long the last edit took."""

    def __init__(self, workflow: EditWorkflow) -> None:
        self._workflow = workflow
        self.seconds = 0.0

    async def describe(self) -> ModelDescription:
        return await self._workflow.describe()

    async def check(self) -> None:
        await self._workflow.check()

    async def ask(self, question: Question) -> Reply:
        return await self._workflow.ask(question)

    async def run(self, plan: EditPlan) -> EditOutcome:
        started = time.perf_counter()
        outcome = await self._workflow.run(plan)
        self.seconds = time.perf_counter() - started
        return outcome

    def stream(self, plan: EditPlan, partial_images: int) -> AsyncGenerator[EditEvent, None]:
        return self._workflow.stream(plan, partial_images)


class InProcess:
    """Takes an uploaded file all the way to its stored result; use it from one event loop."""

    def __init__(self, config: ServiceConfig, folder: Path) -> None:
        self._engine = Engine.load(config.model, config.engine)
        self._engine.warm_up()
        self._decoder = DecodePool(config.limits)
        self.editor = TimedEditor(self._engine)
        judge = ThreadedJudge(Validator(config.quality))
        self.router = TimedRouter(
            EditWorkflow(
                self.editor,
                judge,
                SharedCache(config.cache, folder),
                ResultStore(BlobStore(str(folder))),
                config,
            )
        )
        self._gateway = EditGateway(self.router, judge, config)

    async def edit(self, data: bytes, prompt: str, steps: int, seed: int) -> EditResult:
        """Decode, plan, edit, judge and store."""
        image = await self._decoder.decode(data)
        request = EditRequest(
            (image,), prompt, num_inference_steps=steps, seed=seed, max_attempts=1
        )
        return (await self._gateway.edit(request)).result

    def close(self) -> None:
        self._decoder.close()
        self._engine.close()
