"""The router: takes planned edits through cache, editor, validator and store."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.cache_client import ShardedCacheClient
from serve_app.deployments.editor_client import EditorClient
from serve_app.deployments.logs import log_with_serve
from serve_app.deployments.metrics import RouterMetrics
from serve_app.deployments.validator_client import ValidatorClient
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
        from serve_app.workflows.timed_results import TimedResults

        log_with_serve()
        metrics = RouterMetrics()
        self._workflow = EditWorkflow(
            EditorClient(editor, several=config.deployments.editor.max > 1),
            ValidatorClient(validator),
            ShardedCacheClient(cache),
            TimedResults(ResultStore(BlobStore(config.storage.root)), metrics.stored),
            config,
            metrics.re_edited,
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
