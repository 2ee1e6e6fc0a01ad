"""Webhooks against a real receiver: signed, repeated, never followed elsewhere."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from dbos import DBOS, WorkflowStatus

from serve_app.config import WebhooksConfig
from serve_app.engine.engine import Engine
from serve_app.workflows.in_process import assemble
from serve_app.workflows.jobs.job import Job, JobState
from serve_app.workflows.jobs.service import JobService
from tests.workflows.faulty_editor import FaultyEditor
from tests.workflows.jobs.conftest import Jobs, edits

SECRET = "a secret of the test"


@dataclass
class Receiver:
    """Answers with the next of ``statuses``, the last one from then on."""

    statuses: list[int]
    port: int = 0
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/told"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        named = (line.split(": ", 1) for line in head if line)
        headers = {name.lower(): value for name, value in named}
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append((headers, body))
        status = self.statuses[min(len(self.received), len(self.statuses)) - 1]
        location = f"location: http://127.0.0.1:{self.port}/elsewhere\r\n"
        writer.write(
            f"HTTP/1.1 {status} told\r\n{location}content-length: 0\r\n"
            "connection: close\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(list(statuses))
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN_EDIT_WEBHOOK_SECRET", SECRET)


async def told(service: JobService, job_id: str, *states: str) -> dict[str, Any]:
    """The webhook's state, once it is one of ``states``."""
    while True:
        webhook = (await service.get(job_id)).webhook
        assert webhook is not None
        if webhook["state"] in states:
            return webhook
        await asyncio.sleep(0.02)


async def submitted(service: JobService, jobs: Jobs, url: str) -> Job:
    plan = edits((await jobs.store(), "make it blue"))
    return await service.submit(replace(plan, webhook=url))


async def test_the_end_is_told_with_a_signature(jobs_anywhere: Jobs) -> None:
    jobs = jobs_anywhere
    async with receiving(204) as receiver, jobs.running() as service:
        job = await submitted(service, jobs, receiver.url)
        assert job.webhook == {"url": receiver.url, "state": "waiting"}
        webhook = await told(service, job.id, "delivered")
        events = [event async for event in service.events(job.id, 0)]
    assert (webhook["attempts"], webhook["last_status"]) == (1, 204)
    ((headers, body),) = receiver.received
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(SECRET.encode(), message, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert json.loads(body)["type"] == "job.succeeded"
    assert json.loads(body)["data"]["id"] == job.id
    assert [event.data["state"] for event in events if event.name == "webhook"] == ["delivered"]


async def test_what_was_heard_is_not_told_again(jobs: Jobs) -> None:
    """Whoever looks for ends that nobody was told of may have looked just before."""
    async with receiving(200) as receiver, jobs.running() as service:
        job = await submitted(service, jobs, receiver.url)
        await told(service, job.id, "delivered")
        while len(await webhooks("SUCCESS")) < 1:
            await asyncio.sleep(0.02)
        await service._runs.enqueue_webhook(job.id, job.run)
        while len(await webhooks("SUCCESS")) < 2:
            await asyncio.sleep(0.02)
    assert len(receiver.received) == 1


async def webhooks(status: str) -> list[WorkflowStatus]:
    """Deliveries that are in this state."""
    return await DBOS.list_workflows_async(status=status, name="webhook")


async def test_it_is_told_again_until_it_is_heard(jobs: Jobs) -> None:
    async with receiving(500, 302, 200) as receiver, jobs.running() as service:
        job = await submitted(service, jobs, receiver.url)
        webhook = await told(service, job.id, "delivered", "failed")
    assert (webhook["state"], webhook["attempts"]) == ("delivered", 3)
    # One message, however often: receivers can tell by its id.
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1


async def test_in_the_end_it_is_given_up_and_says_so(jobs: Jobs) -> None:
    async with receiving(503) as receiver, jobs.running() as service:
        job = await submitted(service, jobs, receiver.url)
        webhook = await told(service, job.id, "failed")
        assert (await service.get(job.id)).state is JobState.SUCCEEDED
    assert (webhook["attempts"], webhook["last_status"]) == (3, 503)
    assert len(receiver.received) == 3


async def test_nobody_listens(jobs: Jobs) -> None:
    async with receiving(200) as receiver:
        url = receiver.url
    async with jobs.running() as service:
        job = await submitted(service, jobs, url)
        webhook = await told(service, job.id, "failed")
    assert webhook["last_status"] is None
    assert webhook["last_error"] == "no connection"


async def test_a_host_that_is_not_configured_any_more_is_not_called(
    jobs: Jobs, engine: Engine
) -> None:
    hold = asyncio.Event()
    async with receiving(200) as receiver:
        async with jobs.running(FaultyEditor(engine, hold=hold)) as service:
            job = await submitted(service, jobs, receiver.url)
        async with jobs.running(webhooks=WebhooksConfig(hosts=("elsewhere",))) as service:
            webhook = await told(service, job.id, "failed")
    assert webhook["last_error"] == "the host is not configured any more"
    assert receiver.received == []


async def test_a_cancelled_job_is_told_too_and_a_retry_once_more(
    jobs: Jobs, engine: Engine
) -> None:
    hold = asyncio.Event()
    async with receiving(200) as receiver, jobs.running(FaultyEditor(engine, hold=hold)) as service:
        job = await submitted(service, jobs, receiver.url)
        await service.cancel(job.id)
        await told(service, job.id, "delivered")
        hold.set()
        await service.retry(job.id)
        while len(receiver.received) < 2:
            await asyncio.sleep(0.02)
    types = [json.loads(body)["type"] for _, body in receiver.received]
    assert types == ["job.cancelled", "job.succeeded"]


async def test_an_end_that_another_process_brought_about_is_told(
    jobs: Jobs, engine: Engine
) -> None:
    gateway = assemble(jobs.config, engine)
    other = JobService(jobs.config, gateway, gateway.forget)  # runs no jobs
    hold = asyncio.Event()
    async with receiving(200) as receiver, jobs.running(FaultyEditor(engine, hold=hold)) as service:
        job = await submitted(service, jobs, receiver.url)
        await other.cancel(job.id)
        await told(service, job.id, "delivered")
        hold.set()
    await other.close()
