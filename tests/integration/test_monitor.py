"""The monitor of the real graph: what all replicas report, and what happens without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import Service, encoded, photo

pytestmark = pytest.mark.cluster

PICTURE = encoded(photo("coffee", (64, 64)))


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=service.url, timeout=120) as one:
        yield one


async def summary(
    client: httpx.AsyncClient, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The first summary that is ``wanted``: replicas report at an interval."""
    while True:
        answer = await client.get("/v1/monitor")
        if answer.status_code == 200 and wanted(answer.json()):
            body: dict[str, Any] = answer.json()
            return body
        assert answer.status_code in (200, 503), answer.text
        await asyncio.sleep(0.2)


async def edit(client: httpx.AsyncClient, seed: int) -> httpx.Response:
    return await client.post(
        "/v1/images/edits",
        files={"image": ("a.png", PICTURE, "image/png")},
        data={
            "prompt": "make it a watercolor",
            "seed": str(seed),
            "num_inference_steps": "2",
            "edit_type": "semantic",
            "max_attempts": "1",
            "cache": "off",
        },
    )


async def test_edits_of_requests_and_of_jobs_are_counted(client: httpx.AsyncClient) -> None:
    before = await summary(client, lambda _: True)
    assert (await edit(client, 71)).status_code == 200
    assert (await edit(client, -1)).status_code == 400
    stored = await client.post("/v1/files", files={"file": ("a.png", PICTURE, "image/png")})
    job = await client.post(
        "/v1/jobs",
        json={
            "kind": "edit",
            "image": stored.json()["id"],
            "prompt": "make it a watercolor",
            "edit_type": "semantic",
            "num_inference_steps": 2,
            "max_attempts": 1,
            "seed": 72,
        },
    )
    assert job.status_code == 202, job.text
    edits, requests = before["edits"]["total"], before["requests"]["total"]
    after = await summary(
        client,
        lambda body: (
            body["edits"]["total"] >= edits + 2
            and body["requests"]["total"] >= requests + 4
            and body["cpu"]["percent"] is not None
        ),
    )
    assert after["edits"]["by_type"]["semantic"] >= 2
    assert after["requests"]["by_status"]["4xx"] >= 1
    assert {"encode", "denoise", "decode", "validate", "total"} <= after["stages"].keys()
    assert after["stages"]["total"]["p50_s"] > 0
    assert after["memory"]["service_bytes"]["current"] > 0
    assert 0.0 <= after["cpu"]["percent"]["current"] <= 100.0


async def test_edits_run_without_a_monitor_and_are_counted_by_the_next(
    client: httpx.AsyncClient, service: Service
) -> None:
    before = await summary(client, lambda _: True)
    while (killed := service.pid("Monitor")) is None:
        await asyncio.sleep(0.05)
    psutil.Process(killed).kill()
    assert (await client.get("/ready")).status_code == 200
    assert (await edit(client, 73)).status_code == 200
    after = await summary(
        client, lambda body: body["uptime_s"] < before["uptime_s"] and body["edits"]["made"] >= 1
    )
    assert after["edits"]["by_type"] == {"semantic": after["edits"]["made"]}
