"""Many requests at once: identical ones become one edit, abandoned ones leave."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conftest import Service, encoded, photo

pytestmark = pytest.mark.cluster

PICTURE = encoded(photo("astronaut", (192, 192)))


async def _edit(client: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await client.post(
        "/v1/images/edits",
        files={"image": ("a.png", PICTURE, "image/png")},
        data={"prompt": "make it night", "max_attempts": "1", **form},
    )


def _client(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=service.url,
        timeout=120,
        limits=httpx.Limits(max_connections=120, max_keepalive_connections=0),
    )


async def test_a_hundred_identical_requests_run_the_editor_once(service: Service) -> None:
    before = (await service.figures("Editor"))["finished"]
    async with _client(service) as client:
        answers = await asyncio.gather(
            *(_edit(client, seed="77", num_inference_steps="40") for _ in range(100))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"][0]["b64_json"] for answer in answers}) == 1
    assert len({answer.headers["x-edit-id"] for answer in answers}) == 1
    statuses = Counter(answer.headers["x-edit-cache"] for answer in answers)
    assert statuses["miss"] == 1
    assert statuses["joined"] > 0
    assert (await service.figures("Editor"))["finished"] == before + 1


async def test_a_refreshed_edit_runs_again_and_gives_the_same_picture(service: Service) -> None:
    async with _client(service) as client:
        first = await _edit(client, seed="78", num_inference_steps="4")
        hit = await _edit(client, seed="78", num_inference_steps="4")
        before = (await service.figures("Editor"))["finished"]
        refreshed = await _edit(client, seed="78", num_inference_steps="4", cache="refresh")
    assert [r.headers["x-edit-cache"] for r in (first, hit, refreshed)] == ["miss", "hit", "miss"]
    assert (await service.figures("Editor"))["finished"] == before + 1
    pictures = {r.json()["data"][0]["b64_json"] for r in (first, hit, refreshed)}
    assert len(pictures) == 1


async def test_different_requests_share_steps(service: Service) -> None:
    before = await service.figures("Editor")
    steps = 25
    async with _client(service) as client:
        answers = await asyncio.gather(
            *(_edit(client, seed=str(seed), num_inference_steps=str(steps)) for seed in range(6))
        )
    assert {answer.status_code for answer in answers} == {200}
    after = await service.figures("Editor")
    assert after["finished"] == before["finished"] + 6
    assert after["steps"] - before["steps"] < 6 * steps


async def test_clients_that_leave_free_their_places(service: Service) -> None:
    before = await service.figures("Editor")
    connections = [_send_and_keep_open(service, seed, steps=3000) for seed in range(900, 906)]
    await _until(service, "Editor", "pending", 6)
    for connection in connections:
        connection.close()
    await _until(service, "Editor", "pending", 0)
    after = await service.figures("Editor")
    assert after["withdrawn"] == before["withdrawn"] + 6
    assert after["finished"] == before["finished"]
    assert after["steps"] - before["steps"] < 3000
    async with _client(service) as client:
        assert (await _edit(client, seed="907", num_inference_steps="2")).status_code == 200


async def test_a_stream_that_is_left_frees_its_place(service: Service) -> None:
    before = await service.figures("Editor")
    connection = _send_and_keep_open(service, seed=920, steps=3000, stream=True)
    await _until(service, "Editor", "pending", 1)
    connection.close()
    await _until(service, "Editor", "pending", 0)
    assert (await service.figures("Editor"))["withdrawn"] == before["withdrawn"] + 1


@pytest.mark.slow  # as long as an edit may take
async def test_edits_over_their_time_are_withdrawn_from_the_editor(service: Service) -> None:
    """What only our own code cancels must reach the editor, too, not just disconnects."""
    before = await service.figures("Editor")
    async with _client(service) as client:
        answer = await _edit(client, seed="930", num_inference_steps="20000", n="2")
        assert answer.status_code == 504
    await _until(service, "Editor", "pending", 0)
    assert (await service.figures("Editor"))["withdrawn"] == before["withdrawn"] + 2


async def test_a_leader_that_leaves_hands_over(service: Service) -> None:
    before = await service.figures("Cache")
    leader = _send_and_keep_open(service, seed=950, steps=150)
    await _until(service, "Editor", "pending", 1)
    async with _client(service) as client:
        follower = asyncio.create_task(
            _edit(client, seed="950", num_inference_steps="150", max_attempts="1")
        )
        await _until(service, "Cache", "joins", before["joins"] + 1)
        leader.close()
        answer = await follower
    assert answer.status_code == 200
    assert answer.headers["x-edit-cache"] == "miss"
    assert (await service.figures("Cache"))["handovers"] == before["handovers"] + 1


def _send_and_keep_open(
    service: Service, seed: int, steps: int, stream: bool = False
) -> socket.socket:
    """Send a long edit and return the connection, its answer unread."""
    request = httpx.Request(
        "POST",
        f"{service.url}/v1/images/edits",
        files={"image": ("a.png", PICTURE, "image/png")},
        data={
            "prompt": "make it night",
            "seed": str(seed),
            "num_inference_steps": str(steps),
            "max_attempts": "1",
            "stream": str(stream).lower(),
        },
    )
    where = urlsplit(service.url)
    connection = socket.create_connection((where.hostname, where.port))
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    connection.sendall(f"POST /v1/images/edits HTTP/1.1\r\n{head}\r\n".encode() + request.read())
    return connection


async def _until(service: Service, deployment: str, figure: str, value: int) -> None:
    """Poll until a deployment counts ``value``; the limit is there to end a broken run."""
    async with asyncio.timeout(60):
        # Another process's count: there is no event to wait for.
        while (await service.figures(deployment))[figure] != value:
            await asyncio.sleep(0.02)
