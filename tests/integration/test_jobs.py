"""Durable jobs over HTTP, on the real graph, also when the process that runs them is killed."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from tests.conftest import Service, encoded, photo

pytestmark = pytest.mark.cluster

PICTURE = encoded(photo("chelsea", (64, 64)))
PROMPTS = ("make it night", "make it a watercolour", "paint the wall red", "make it winter")


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=service.url, timeout=120) as one:
        yield one


async def uploaded(client: httpx.AsyncClient) -> str:
    answer = await client.post("/v1/files", files={"file": ("a.png", PICTURE, "image/png")})
    file_id: str = answer.json()["id"]
    return file_id


async def submitted(client: httpx.AsyncClient, **specification: Any) -> dict[str, Any]:
    answer = await client.post("/v1/jobs", json=specification)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def ended(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    """Ask until the job has ended, also while nobody answers."""
    while True:
        answer = await client.get(f"/v1/jobs/{job_id}")
        if answer.status_code == 200 and answer.json()["state"] not in ("queued", "running"):
            job: dict[str, Any] = answer.json()
            return job
        assert answer.status_code in (200, 503), answer.text
        await asyncio.sleep(0.05)


async def events(
    client: httpx.AsyncClient, job_id: str, last_id: str = "0"
) -> list[dict[str, Any]]:
    """Everything that the stream tells, with names and ids."""
    found: list[dict[str, Any]] = []
    headers = {"last-event-id": last_id}
    async with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        block: dict[str, Any] = {}
        async for line in stream.aiter_lines():
            name, _, value = line.partition(": ")
            if not line and block:
                found.append(block)
                block = {}
            elif name == "data":
                block["data"] = json.loads(value)
            elif name:
                block[name] = value
    return found


async def test_a_chain_from_the_upload_to_the_picture(client: httpx.AsyncClient) -> None:
    steps = [{"description": p, "prompt": p, "num_inference_steps": 6} for p in PROMPTS[:2]]
    job = await submitted(
        client,
        kind="chain",
        image=await uploaded(client),
        steps=steps,
        partial_images=1,
        label="pictures",
        on_failure="skip",
    )
    told = await events(client, job["id"])
    names = {event["event"] for event in told}
    assert {"state", "step", "progress", "preview"} <= names
    states = [event["data"]["state"] for event in told if event["event"] == "state"]
    assert states == ["queued", "running", "succeeded"]
    kept = [event for event in told if "id" in event]
    assert await events(client, job["id"], kept[1]["id"]) == kept[2:]
    done = await ended(client, job["id"])
    assert done["state"] == "succeeded", done
    picture = await client.get(f"/v1/results/{done['result']}")
    assert Image.open(io.BytesIO(picture.content)).size == (64, 64)
    listed = (await client.get("/v1/jobs", params={"label": "pictures"})).json()["data"]
    assert [one["id"] for one in listed] == [job["id"]]


async def test_a_cancelled_job_frees_the_editor(
    client: httpx.AsyncClient, service: Service
) -> None:
    job = await submitted(
        client,
        kind="edit",
        image=await uploaded(client),
        prompt="make it night",
        num_inference_steps=19_000,
        seed=5,
    )
    async with client.stream("GET", f"/v1/jobs/{job['id']}/events") as stream:
        async for line in stream.aiter_lines():
            if line == "event: progress":
                break
    withdrawn = (await service.figures("Editor"))["withdrawn"]
    answer = await client.post(f"/v1/jobs/{job['id']}/cancel")
    assert answer.json()["state"] == "cancelled"
    while (await service.figures("Editor"))["withdrawn"] == withdrawn:
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_the_process_that_runs_jobs_is_killed_and_nothing_is_done_twice(
    client: httpx.AsyncClient, service: Service
) -> None:
    steps = [
        {"prompt": prompt, "num_inference_steps": 60, "seed": seed, "max_attempts": 1}
        for seed, prompt in enumerate(PROMPTS)
    ]
    before = (await service.figures("Editor"))["finished"]
    job = await submitted(
        client, kind="chain", image=await uploaded(client), steps=steps, on_failure="skip"
    )
    for kill_in_step in (0, 2):
        await in_step(client, job["id"], kill_in_step)
        while (killed := service.pid("Jobs")) is None:
            await asyncio.sleep(0.05)
        psutil.Process(killed).kill()
        while service.pid("Jobs") in (killed, None):
            await asyncio.sleep(0.05)
    done = await ended(client, job["id"])
    assert [step["state"] for step in done["steps"]] == ["succeeded"] * 4, done
    ends = [
        (event["data"]["index"], event["data"]["result"])
        for event in await events(client, job["id"])
        if event["event"] == "step" and event["data"]["state"] == "succeeded"
    ]
    assert ends == [(step["index"], step["result"]) for step in done["steps"]]
    # An edit that was going on may have been finished for nobody, once per kill.
    finished = (await service.figures("Editor"))["finished"] - before
    assert len(steps) <= finished <= len(steps) + 2


async def in_step(client: httpx.AsyncClient, job_id: str, index: int) -> None:
    """Return once the step ``index`` is running."""
    while True:
        answer = await client.get(f"/v1/jobs/{job_id}")
        if answer.status_code == 200 and answer.json()["steps"][index]["state"] != "queued":
            return
        await asyncio.sleep(0.02)
