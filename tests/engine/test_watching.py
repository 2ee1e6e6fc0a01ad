"""What an engine tells of its steps and its device, and whose its log lines are."""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar

import psutil
import pytest

from serve_app.config import EngineConfig
from serve_app.edits.job import EditJob
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint
from serve_app.errors import EditFailed
from tests.engine.tasks import photo
from tests.engine.watched import FAULT, Watched, faulty, small


def test_every_step_is_told_with_how_many_shared_it(
    plus: Checkpoint, device_loop: DeviceLoop
) -> None:
    steps: list[tuple[int, float]] = []
    device_loop.observer = lambda requests, seconds: steps.append((requests, seconds))
    first = Watched(small(plus, steps=4))
    second = Watched(small(plus, steps=2, seed=1))
    # The second one comes while the first one is at its first step, so that they share two.
    first.at = {1: lambda: device_loop.submit(second.ticket)}
    device_loop.submit(first.ticket)
    for watched in (first, second):
        watched.ticket.future.result()
    assert sorted(requests for requests, _ in steps) == [1, 1, 2, 2]
    assert all(seconds > 0 for _, seconds in steps)
    assert len(steps) == device_loop.steps


async def test_it_watches_from_when_it_is_asked_to(engine: Engine) -> None:
    engine.warm_up()
    told: list[int] = []
    engine.watch(lambda requests, _: told.append(requests))
    await engine.edit(EditJob((photo(1, 80, 60),), "make it blue", " ", 1.0, 3, 3))
    assert told == [1, 1, 1]


def test_without_a_gpu_the_memory_is_that_of_the_process(engine: Engine) -> None:
    usage = engine.device_usage()
    assert usage.device == "cpu"
    assert usage.allocated_bytes == usage.reserved_bytes
    assert 2**20 < usage.allocated_bytes < usage.total_bytes
    assert usage.total_bytes == psutil.virtual_memory().total


request_id: ContextVar[str] = ContextVar("request_id")


class Requests(logging.Handler):
    """Keeps which request a line was logged for, as Serve's filter does."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(request_id.get("nobody's"))


async def test_what_the_device_thread_logs_is_of_the_request_that_failed(
    plus: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(FAULT)

    engine = Engine(faulty(plus, "transformer", fail), EngineConfig())
    handler = Requests()
    logger = logging.getLogger("serve_app.engine.delivery")
    logger.addHandler(handler)

    async def edit(name: str) -> None:
        request_id.set(name)
        with pytest.raises(EditFailed):
            await engine.edit(EditJob((photo(1, 80, 60),), "make it blue", " ", 1.0, 2, 3))

    try:
        await asyncio.gather(edit("one"), edit("other"))
    finally:
        logger.removeHandler(handler)
        engine.close()
    assert sorted(handler.seen) == ["one", "other"]
    assert FAULT not in caplog.text
