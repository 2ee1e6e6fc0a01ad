"""Runs in their queues."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from dbos import DBOS

from serve_app.workflows.jobs.database import Database, database_url
from serve_app.workflows.jobs.durable import DurableRuns, once

FIVE = range(5)


async def no_webhook(job_id: str, run: int) -> None:
    raise AssertionError("no job here has a webhook")


async def test_the_limits_of_a_launch_hold_from_its_first_run_on(
    database: str | None, tmp_path: Path
) -> None:
    url = database_url(database, tmp_path)
    opened = Database(url)
    begun: asyncio.Queue[str] = asyncio.Queue()
    more = asyncio.Event()

    async def run_job(job_id: str, run: int) -> None:
        begun.put_nowait(job_id)
        await more.wait()

    before = DurableRuns(url, jobs=5, jobs_per_user=5, poll_s=3600.0)
    await before.launch(run_job, no_webhook)
    for number in FIVE:
        await before.enqueue(f"job-{number}", 1, "studio", 5)
    await before.close()

    now = DurableRuns(url, jobs=1, jobs_per_user=1, poll_s=0.02)
    await now.launch(run_job, no_webhook)
    try:
        async with asyncio.timeout(60):
            first = await begun.get()
        # All that are taken from a queue at once are marked before any of them begins.
        taken = await DBOS.list_workflows_async(status="PENDING")
        assert [run.workflow_id for run in taken] == [f"{first}.1"]
        more.set()
        assert {first, *[await begun.get() for _ in FIVE[1:]]} == {f"job-{n}" for n in FIVE}
    finally:
        await now.close()
        opened.close()


def test_a_run_that_begins_while_the_loop_rests_waits_for_it(
    database: str | None, tmp_path: Path
) -> None:
    url = database_url(database, tmp_path)
    opened = Database(url)
    runs = DurableRuns(url, jobs=1, jobs_per_user=1, poll_s=0.02)
    loops: asyncio.Queue[asyncio.AbstractEventLoop] = asyncio.Queue()

    async def run_job(job_id: str, run: int) -> None:
        loops.put_nowait(asyncio.get_running_loop())
        await once("a step", nothing)

    async def nothing() -> None:
        loops.put_nowait(asyncio.get_running_loop())

    async def begin() -> None:
        await runs.launch(run_job, no_webhook)
        await runs.enqueue("job-0", 1, None, 5)

    with asyncio.Runner() as runner:
        runner.run(begin())
        while not DBOS.list_workflows(status="PENDING"):
            time.sleep(0.01)
        assert {runner.run(loops.get()), runner.run(loops.get())} == {runner.get_loop()}
        while not DBOS.list_workflows(status="SUCCESS"):
            runner.run(asyncio.sleep(0.01))
        runner.run(runs.close())
    opened.close()


async def test_a_run_that_is_taken_while_it_closes_is_left_to_the_next_launch(
    database: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = database_url(database, tmp_path)
    opened = Database(url)
    begun: asyncio.Queue[str] = asyncio.Queue()

    async def run_job(job_id: str, run: int) -> None:
        begun.put_nowait(job_id)

    runs = DurableRuns(url, jobs=1, jobs_per_user=1, poll_s=0.02)
    await runs.launch(run_job, no_webhook)
    loop, destroy = asyncio.get_running_loop(), DBOS.destroy

    def late_destroy(**options: bool) -> None:
        asyncio.run_coroutine_threadsafe(runs.enqueue("job-0", 1, None, 5), loop).result()
        while not DBOS.list_workflows(status="PENDING"):
            time.sleep(0.01)
        destroy(**options)

    monkeypatch.setattr(DBOS, "destroy", late_destroy)
    await runs.close()
    assert begun.empty()
    monkeypatch.undo()
    again = DurableRuns(url, jobs=1, jobs_per_user=1, poll_s=0.02)
    await again.launch(run_job, no_webhook)
    assert await begun.get() == "job-0"
    await again.close()
    opened.close()
