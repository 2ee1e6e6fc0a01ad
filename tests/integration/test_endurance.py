"""Many bad and broken-off requests leave nothing behind: `make test-slow`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import httpx
import psutil
import pytest

from tests.conftest import Service, encoded, photo
from tests.images.hostile import HOSTILE

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

PICTURE = encoded(photo("coffee", (160, 120)))


async def test_a_thousand_dropped_clients_leave_no_edit_behind(service: Service) -> None:
    drawn = random.Random(1)
    async with _client(service) as client:
        for _ in range(20):
            callers = [
                asyncio.create_task(_edit(client, str(drawn.randrange(2**40)))) for _ in range(50)
            ]
            for caller in callers:
                asyncio.get_running_loop().call_later(drawn.uniform(0, 1.5), caller.cancel)
            await asyncio.gather(*callers, return_exceptions=True)
    await _until(lambda: _count(service, "Editor", "pending"))
    await _until(lambda: _count(service, "Cache", "flying"))
    async with _client(service) as client:
        answer = await _edit(client, "7")
        assert answer.status_code == 200, answer.text


async def test_bad_images_leave_no_memory_behind(service: Service) -> None:
    async with _client(service) as client:
        await _send_bad_images(client, rounds=2)  # pools, buffers and caches get their size
        before = _resident_bytes()
        await _send_bad_images(client, rounds=10)
        assert _resident_bytes() < 1.05 * before


async def _send_bad_images(client: httpx.AsyncClient, rounds: int) -> None:
    bodies = [case.make() for case in HOSTILE]
    for _ in range(rounds):
        for body in bodies:
            answer = await client.post(
                "/v1/images/edits",
                files={"image": ("a.png", body, "image/png")},
                data={"prompt": "make it blue"},
            )
            assert 400 <= answer.status_code < 500


async def _edit(client: httpx.AsyncClient, seed: str) -> httpx.Response:
    return await client.post(
        "/v1/images/edits",
        files={"image": ("a.png", PICTURE, "image/png")},
        data={"prompt": "make it blue", "seed": seed, "num_inference_steps": "30"},
    )


def _client(service: Service) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=60, max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=service.url, timeout=120, limits=limits)


async def _count(service: Service, deployment: str, figure: str) -> int:
    return (await service.figures(deployment))[figure]


async def _until(count: Callable[[], Awaitable[int]]) -> None:
    """Poll until nothing is left; the limit is there to end a broken run."""
    async with asyncio.timeout(120):
        while await count():
            await asyncio.sleep(0.05)


def _resident_bytes() -> int:
    """Resident memory of all processes of the graph."""
    replicas = [p for p in psutil.process_iter(["cmdline"]) if _is_replica(p)]
    assert replicas
    families = {child for replica in replicas for child in (replica, *replica.children(True))}
    return sum(process.memory_info().rss for process in families)


def _is_replica(process: psutil.Process) -> bool:
    return any("ServeReplica:qwen-edit" in word for word in process.info["cmdline"] or ())
