"""Real edits through a gateway that reports: with the engine, the checks and the cache."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from serve_app.config import LimitsConfig, MonitorConfig, ServiceConfig
from serve_app.edits.request import CachePolicy, EditRequest
from serve_app.edits.result import Completed
from serve_app.engine.engine import Engine
from serve_app.errors import EditFailed
from serve_app.monitoring.gpus import GpuReader
from serve_app.monitoring.machine import Machine
from serve_app.monitoring.monitor import ServiceMonitor
from serve_app.monitoring.reporter import Reporter
from serve_app.storage.blobs import BlobStore
from serve_app.storage.results import ResultStore
from serve_app.storage.shared_cache import SharedCache
from serve_app.workflows.edit import EditWorkflow
from serve_app.workflows.gateway import EditGateway
from serve_app.workflows.in_process import ThreadedJudge
from tests.workflows.faulty_editor import FaultyEditor


class Watched:
    """A gateway, what reports of it, and who hears that."""

    def __init__(self, config: ServiceConfig, editor: FaultyEditor) -> None:
        judge = ThreadedJudge.open(config.quality, editor.ask)
        self.monitor = ServiceMonitor(MonitorConfig(), Machine(GpuReader()))
        self.reporter = Reporter(self.monitor, MonitorConfig())
        workflow = EditWorkflow(
            editor,
            judge,
            SharedCache(config.cache, config.storage.folder),
            ResultStore(BlobStore(config.storage.root)),
            config,
        )
        self.looks: list[bool] = []
        self.gateway = EditGateway(workflow, judge, config, self.reporter, self.looks.append)

    async def summary(self) -> dict[str, Any]:
        assert await self.reporter.push()
        return await self.monitor.summary()


@pytest.fixture
async def editor(engine: Engine) -> FaultyEditor:
    return FaultyEditor(engine)


@pytest.fixture
async def watched(
    config: ServiceConfig,
    editor: FaultyEditor,
) -> AsyncIterator[Watched]:
    one = Watched(config, editor)
    yield one
    await one.monitor.close()


async def test_edits_hits_and_refreshes_are_told_apart(
    watched: Watched,
    request_for_blue: EditRequest,
) -> None:
    for policy in (CachePolicy.USE, CachePolicy.USE, CachePolicy.REFRESH, CachePolicy.OFF):
        async with aclosing(
            watched.gateway.stream(replace(request_for_blue, cache=policy), 0)
        ) as events:
            async for event in events:
                if isinstance(event, Completed):
                    break  # as a job does: what comes after is no end
    await watched.gateway.edit(request_for_blue)
    assert watched.looks == [False, True, True]  # nobody looks who refreshes or wants no cache
    summary = await watched.summary()
    assert summary["cache"] == {
        "hit_rate": pytest.approx(2 / 3, abs=1e-4),
        "answers": {"hit": 2, "miss": 1, "off": 1, "refreshed": 1},
    }
    assert (summary["edits"]["last_hour"], summary["edits"]["made"]) == (5, 3)
    assert summary["edits"]["by_type"].keys() <= {"semantic", "appearance"}
    assert summary["edits"]["withdrawn"] == 0
    assert summary["stages"].keys() == {
        *("queue", "encode", "denoise", "decode", "validate", "total")
    }
    assert summary["stages"]["total"]["count"] == 3
    assert summary["stages"]["denoise"]["count"] == summary["attempts"]["total"]
    assert summary["queue"]["edits"] == 0


async def test_a_failure_is_told_by_its_code(
    config: ServiceConfig,
    engine: Engine,
    request_for_blue: EditRequest,
) -> None:
    watched = Watched(config, FaultyEditor(engine, failing=1))
    with pytest.raises(EditFailed):
        await watched.gateway.edit(request_for_blue)
    summary = await watched.summary()
    assert summary["edits"]["failures"] == {"edit_failed": 1}
    assert summary["edits"]["last_hour"] == 0
    await watched.monitor.close()


async def test_an_edit_waits_or_runs_until_its_caller_leaves(
    config: ServiceConfig,
    engine: Engine,
    request_for_blue: EditRequest,
) -> None:
    editor = FaultyEditor(engine, hold=asyncio.Event())
    watched = Watched(config, editor)
    running = asyncio.create_task(watched.gateway.edit(request_for_blue))
    await editor.started.wait()
    assert (await watched.summary())["queue"]["edits"] == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    summary = await watched.summary()
    assert (summary["queue"]["edits"], summary["edits"]["withdrawn"]) == (0, 1)
    await watched.monitor.close()


async def test_a_deadline_that_passed_is_a_failure(
    config: ServiceConfig,
    engine: Engine,
    request_for_blue: EditRequest,
) -> None:
    editor = FaultyEditor(engine, hold=asyncio.Event())
    short = config.model_copy(update={"limits": LimitsConfig(request_s=0.05)})
    watched = Watched(short, editor)
    events = watched.gateway.stream(request_for_blue, 0)
    with pytest.raises(Exception, match="not finished within"):
        await anext(events)
    assert (await watched.summary())["edits"]["failures"] == {"deadline_exceeded": 1}
    await watched.monitor.close()
