"""The router: takes planned edits through cache, editor, validator and store."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.cache import CacheClient
from serve_app.deployments.calls import call, iterate
from serve_app.deployments.editor import EditorClient
from serve_app.deployments.logs import log_with_serve
from serve_app.deployments.metrics import ReEditCounter
from serve_app.deployments.validator import ValidatorClient
from serve_app.edits.model import ModelDescription
from serve_app.edits.planning import EditPlan
from serve_app.edits.question import Question, Reply
from serve_app.edits.result import EditEvent, EditOutcome


@serve.deployment(name="Router")
class Router:
    """The single-edit workflow over handles to the other deployments."""

    def __init__(self, config: ServiceConfig, editor: Any, validator: Any, cache: Any) -> None:
        from serve_app.storage.blobs import BlobStore
        from serve_app.storage.results import ResultStore
        from serve_app.workflows.edit import EditWorkflow

        log_with_serve()
        self._workflow = EditWorkflow(
            EditorClient(editor, several=config.deployments.editor.max > 1),
            ValidatorClient(validator),
            CacheClient(cache),
            ResultStore(BlobStore(config.storage.root)),
            config,
            ReEditCounter(),
        )

    async def describe(self) -> ModelDescription:
        return await self._workflow.describe()

    async def check(self) -> None:
        await self._workflow.check()

    async def ask(self, question: Question) -> Reply:
        return await self._workflow.ask(question)

    async def forget(self, key: str) -> None:
        await self._workflow.forget(key)

    async def run(self, plan: EditPlan) -> EditOutcome:
        return await self._workflow.run(plan)

    async def stream(self, plan: EditPlan, partial_images: int) -> AsyncGenerator[EditEvent, None]:
        async with aclosing(self._workflow.stream(plan, partial_images)) as events:
            async for event in events:
                yield event


class RouterClient:
    """The routers behind a Serve handle, as the gateway's ``Router``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._streaming = handle.options(stream=True)

    async def describe(self) -> ModelDescription:
        return await call("router", self._handle.describe.remote())

    async def check(self) -> None:
        await call("router", self._handle.check.remote())

    async def ask(self, question: Question) -> Reply:
        return await call("router", self._handle.ask.remote(question))

    async def forget(self, key: str) -> None:
        """Let no later request be answered with the cached result of ``key``."""
        await call("router", self._handle.forget.remote(key))

    async def run(self, plan: EditPlan) -> EditOutcome:
        return await call("router", self._handle.run.remote(plan))

    def stream(self, plan: EditPlan, partial_images: int) -> AsyncGenerator[EditEvent, None]:
        return iterate("router", self._streaming.stream.remote(plan, partial_images))
