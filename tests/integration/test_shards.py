"""A cache of two shards: identical edits meet, whoever asks, and what is forgotten is gone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from serve_app.config import Replicas, ServiceConfig
from serve_app.deployments.cache import Cache
from serve_app.deployments.cache_client import ShardedCacheClient
from serve_app.deployments.options import cache_options
from serve_app.edits.result import CacheStatus, EditOutcome
from serve_app.errors import Quarantined
from serve_app.storage.single_flight import Lease
from tests.conftest import Service
from tests.storage.virtual_time import edit_result

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def shards(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from ray import serve

    config = ServiceConfig.model_validate(
        {
            "cache": {"disk_bytes": 0, "lease_s": 30},
            "storage": {"root": str(tmp_path_factory.mktemp("shards"))},
        }
    )
    options = cache_options(Replicas(num_cpus=0.01, min=2, max=2), 1.0)
    yield serve.run(Cache.options(**options).bind(config), name="shards", route_prefix=None)
    serve.delete("shards")


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


async def figures(shards: Any) -> list[dict[str, int]]:
    counted: list[dict[str, int]] = await shards.broadcast("load_figures").results_async()
    return counted


async def lead(cache: ShardedCacheClient, number: int) -> Lease:
    claim = await cache.claim(key(number))
    assert isinstance(claim, Lease)
    return claim


async def test_keys_are_spread_and_identical_ones_meet(shards: Any) -> None:
    one, another = ShardedCacheClient(shards), ShardedCacheClient(shards.options())
    leases = [await lead(one, number) for number in range(24)]
    flying = [shard["flying"] for shard in await figures(shards)]
    assert sum(flying) == 24
    assert min(flying) > 0
    waiting = [asyncio.create_task(another.claim(lease.key)) for lease in leases]
    async with asyncio.timeout(30):
        while sum(shard["waiting"] for shard in await figures(shards)) < 24:
            await asyncio.sleep(0.05)
    for number, lease in enumerate(leases):
        assert await one.renew(lease)
        await one.fulfil(lease, edit_result(number))
    joined = [EditOutcome(edit_result(number), CacheStatus.JOINED) for number in range(24)]
    assert await asyncio.gather(*waiting) == joined
    assert await one.claim(key(3)) == EditOutcome(edit_result(3), CacheStatus.HIT)


async def test_what_is_forgotten_is_gone_from_every_shard(shards: Any) -> None:
    cache = ShardedCacheClient(shards)
    await cache.replace(key(100), edit_result(100))
    # As after a time in which the other shard had the keys of this one.
    await shards.broadcast("replace", key(100), edit_result(100)).results_async()
    await cache.forget(key(100))
    claims = await shards.broadcast("claim", key(100)).results_async()
    assert all(isinstance(claim, Lease) for claim in claims)


async def test_every_shard_knows_what_is_quarantined(shards: Any) -> None:
    cache = ShardedCacheClient(shards)
    await cache.quarantine(key(200), Quarantined("It stopped two editors."))
    known = await shards.broadcast("quarantined", key(200)).results_async()
    assert [refusal.message for refusal in known] == ["It stopped two editors."] * 2
    assert isinstance(await cache.claim(key(200)), Quarantined)
