"""The editor: one engine on one device. The only process that imports torch."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.logs import log_with_serve
from serve_app.deployments.metrics import EditorMetrics
from serve_app.deployments.suspects import Began, Suspects
from serve_app.deployments.work_scaling import WORK_S
from serve_app.edits.job import EditedImage, EditJob, EditorEvent
from serve_app.edits.model import ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.errors import NotReady

_HEAD_START = 10
"""A priority above those that requests can have."""


@serve.deployment(name="Editor")
class Editor:
    """Loads the checkpoint and proves that it edits before it reports to be there."""

    # Async, so that it runs on the event loop that its metrics are set on.
    async def __init__(self, config: ServiceConfig) -> None:  # type: ignore[misc]
        from serve_app.engine.engine import Engine
        from serve_app.monitoring.repeating import Repeating

        log_with_serve()
        self._engine = Engine.load(config.model, config.engine, ask=config.asks_model)
        self._engine.warm_up()
        self._suspects = Suspects()
        self._metrics = EditorMetrics(config.engine.max_batch_size)
        self._engine.watch(self._metrics.stepped)
        interval_s = config.monitor.interval_s
        self._showing = Repeating(self._show, interval_s, "the editor's metrics are not set")
        self._showing.start()

    async def describe(self) -> ModelDescription:
        return await self._engine.describe()

    async def edit(self, job: EditJob) -> EditedImage:
        return await self._engine.edit(job)

    async def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        async with aclosing(self._engine.stream(job)) as events:
            async for event in events:
                yield event

    async def again(self, job: EditJob, suspect: bool) -> AsyncGenerator[Began | EditorEvent, None]:
        """Stream a job whose editor was lost, with a head start: it waits for the second time.

        If it is a ``suspect`` the others of its editor wait behind it.
        """
        first = replace(job, priority=_HEAD_START)
        work = self._engine.stream(first, admitted=True)
        async with aclosing(self._suspects.run(work, suspect)) as events:
            async for event in events:
                yield event

    async def ask(self, question: Question) -> Reply:
        return await self._engine.ask(question)

    async def check(self) -> None:
        await self._engine.check()

    async def load_figures(self) -> dict[str, int]:
        return self._engine.load_figures()

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Called by Serve: what ``WorkScaling`` decides by."""
        return {WORK_S: self._engine.work_s()}

    async def check_health(self) -> None:
        """Called by Serve: a device that no longer makes steps gets its replica replaced."""
        await self._engine.check()

    async def _show(self) -> None:
        engine = self._engine
        try:
            await engine.check()
            warm = True
        except NotReady:
            warm = False
        self._metrics.show(engine.load_figures(), engine.work_s(), engine.device_usage(), warm=warm)

    async def __del__(self) -> None:
        if showing := getattr(self, "_showing", None):
            await showing.stop()
        if engine := getattr(self, "_engine", None):
            engine.close()
