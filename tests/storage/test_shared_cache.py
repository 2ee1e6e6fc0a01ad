"""Where identical edits meet: found, joined, led, refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from serve_app.config import CacheConfig
from serve_app.edits.result import CacheStatus, EditOutcome
from serve_app.errors import InvalidRequest, Quarantined
from serve_app.storage.shared_cache import SharedCache
from serve_app.storage.single_flight import Lease
from tests.storage.virtual_time import edit_result

KEY = "a" * 64


@pytest.fixture
def cache(tmp_path: Path) -> SharedCache:
    return SharedCache(CacheConfig(lease_s=5), tmp_path)


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def _lead(cache: SharedCache) -> Lease:
    claim = await cache.claim(KEY)
    assert isinstance(claim, Lease)
    return claim


async def _follow(cache: SharedCache) -> asyncio.Task[object]:
    joins = cache.load_figures()["joins"]
    task: asyncio.Task[object] = asyncio.create_task(cache.claim(KEY))
    while cache.load_figures()["joins"] == joins:
        await asyncio.sleep(0)
    return task


async def test_the_first_leads_the_next_joins_the_last_hits(cache: SharedCache) -> None:
    lease = await _lead(cache)
    follower = await _follow(cache)
    await cache.fulfil(lease, edit_result())
    assert await follower == EditOutcome(edit_result(), CacheStatus.JOINED)
    assert await cache.claim(KEY) == EditOutcome(edit_result(), CacheStatus.HIT)


async def test_an_abandoned_lease_goes_to_who_waits(cache: SharedCache) -> None:
    lease = await _lead(cache)
    follower = await _follow(cache)
    await cache.abandon(lease)
    assert isinstance(await follower, Lease)


async def test_a_refusal_is_for_all_who_wait_and_is_not_remembered(cache: SharedCache) -> None:
    lease = await _lead(cache)
    follower = await _follow(cache)
    refusal = InvalidRequest("too long", "prompt")
    await cache.refuse(lease, refusal)
    assert await follower is refusal
    assert isinstance(await cache.claim(KEY), Lease)


async def test_who_waits_for_what_gets_quarantined_does_not_lead(cache: SharedCache) -> None:
    lease = await _lead(cache)
    followers = [await _follow(cache) for _ in range(3)]
    refusal = Quarantined("It stopped two editors.")
    await cache.quarantine(KEY, refusal)
    await cache.abandon(lease)
    assert await asyncio.gather(*followers) == [refusal] * 3


async def test_what_is_quarantined_is_refused_for_a_while(tmp_path: Path) -> None:
    cache = SharedCache(CacheConfig(quarantine_s=0.05), tmp_path)
    refusal = Quarantined("It stopped two editors.")
    assert await cache.quarantined(KEY) is None
    await cache.quarantine(KEY, refusal)
    assert await cache.quarantined(KEY) is refusal
    assert await cache.claim(KEY) is refusal
    assert isinstance(await cache.claim("another"), Lease)
    while await cache.quarantined(KEY) is not None:
        await asyncio.sleep(0.01)
    assert isinstance(await cache.claim(KEY), Lease)


async def test_what_lands_while_the_lease_is_taken_is_found(cache: SharedCache) -> None:
    lease = await _lead(cache)
    follower = await _follow(cache)
    await cache.replace(KEY, edit_result(7))
    await cache.abandon(lease)
    assert await follower == EditOutcome(edit_result(7), CacheStatus.HIT)
    assert cache.load_figures()["flying"] == 0


async def test_without_a_disk_tier_memory_is_enough(tmp_path: Path) -> None:
    cache = SharedCache(CacheConfig(disk_bytes=0), tmp_path)
    await cache.fulfil(await _lead(cache), edit_result())
    assert isinstance(await cache.claim(KEY), EditOutcome)
    assert _files(tmp_path) == []


@pytest.mark.parametrize("config", [CacheConfig(), CacheConfig(disk_bytes=0)], ids=["disk", "none"])
async def test_a_forgotten_result_is_made_anew(tmp_path: Path, config: CacheConfig) -> None:
    cache = SharedCache(config, tmp_path)
    await cache.fulfil(await _lead(cache), edit_result(1))
    await cache.replace("another", edit_result(2))
    await cache.forget(KEY)
    await cache.forget("never there")
    assert await cache.claim("another") == EditOutcome(edit_result(2), CacheStatus.HIT)
    await cache.fulfil(await _lead(cache), edit_result(3))
    assert await cache.claim(KEY) == EditOutcome(edit_result(3), CacheStatus.HIT)


async def test_what_is_forgotten_does_not_come_back_with_a_restart(tmp_path: Path) -> None:
    cache = SharedCache(CacheConfig(), tmp_path)
    await cache.fulfil(await _lead(cache), edit_result())
    await cache.forget(KEY)
    assert isinstance(await SharedCache(CacheConfig(), tmp_path).claim(KEY), Lease)


async def test_forgetting_leaves_who_leads_and_who_waits(cache: SharedCache) -> None:
    lease = await _lead(cache)
    follower = await _follow(cache)
    await cache.forget(KEY)
    await cache.fulfil(lease, edit_result())
    assert await follower == EditOutcome(edit_result(), CacheStatus.JOINED)
