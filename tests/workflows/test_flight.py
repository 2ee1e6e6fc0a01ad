"""Taking part in single flight while the cache, or those who wait at it, are gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from serve_app.config import CacheConfig
from serve_app.edits.result import CacheStatus, EditOutcome, EditResult
from serve_app.errors import InvalidRequest, NotReady, Quarantined
from serve_app.storage.shared_cache import Claim, SharedCache
from serve_app.storage.single_flight import Lease
from serve_app.workflows.flight import Flights
from tests.storage.virtual_time import edit_result, virtual

KEY = "a" * 64
LEASE_S = 15.0
LEASE = Lease(KEY, "token")


class SilentCache:
    """A cache without a replica: Serve keeps its callers waiting."""

    async def claim(self, key: str) -> Claim:
        await asyncio.Event().wait()
        return None

    async def fulfil(self, lease: Lease, result: EditResult) -> None:
        await asyncio.Event().wait()

    async def refuse(self, lease: Lease, error: Exception) -> None:
        await asyncio.Event().wait()

    async def replace(self, key: str, result: EditResult) -> None:
        await asyncio.Event().wait()

    async def renew(self, lease: Lease) -> bool:
        await asyncio.Event().wait()
        return True

    async def abandon(self, lease: Lease) -> None:
        await asyncio.Event().wait()

    async def quarantine(self, key: str, refusal: Quarantined) -> None:
        await asyncio.Event().wait()

    async def quarantined(self, key: str) -> Quarantined | None:
        await asyncio.Event().wait()
        return None


@pytest.fixture
def cache(tmp_path: Path) -> SharedCache:
    return SharedCache(CacheConfig(lease_s=LEASE_S, disk_bytes=0), tmp_path)


@virtual
async def test_a_silent_cache_is_done_without() -> None:
    flights = Flights(SilentCache(), LEASE_S)
    assert await flights.join(KEY) is None
    await flights.fulfil(LEASE, edit_result())
    await flights.abandon(LEASE)
    await flights.replace(KEY, edit_result())
    await flights.quarantine(KEY, Quarantined("Twice."))
    await flights.check(KEY)
    assert asyncio.get_running_loop().time() < 60


@virtual
@pytest.mark.parametrize("error", [InvalidRequest("No.", "prompt"), NotReady("Gone.")])
async def test_an_edit_that_fails_ends_though_the_cache_is_silent(error: Exception) -> None:
    flights = Flights(SilentCache(), LEASE_S)
    with pytest.raises(type(error)):
        async with flights.leading(LEASE):
            raise error
    assert asyncio.get_running_loop().time() < 60


async def test_whatever_the_cache_raises_a_finished_edit_is_not_lost() -> None:
    class Broken(SilentCache):
        async def fulfil(self, lease: Lease, result: EditResult) -> None:
            raise ConnectionError

    await Flights(Broken(), LEASE_S).fulfil(LEASE, edit_result())


def test_callers_that_died_while_they_waited_are_not_the_next_to_lead(cache: SharedCache) -> None:
    @virtual
    async def run() -> None:
        flights, loop = Flights(cache, LEASE_S), asyncio.get_running_loop()
        assert isinstance(await flights.join(KEY), Lease)  # and falls silent
        # Their process is gone: nobody takes what they are told, and they never ask again.
        orphans = [asyncio.create_task(cache.claim(KEY)) for _ in range(50)]
        await asyncio.sleep(1)
        assert isinstance(await flights.join(KEY), Lease)
        assert loop.time() <= 2 * LEASE_S + 1
        assert all(orphan.done() for orphan in orphans)

    run()


def test_who_waits_longer_than_a_lease_still_gets_the_leaders_result(cache: SharedCache) -> None:
    @virtual
    async def run() -> None:
        flights, loop = Flights(cache, LEASE_S), asyncio.get_running_loop()
        lease = await flights.join(KEY)
        assert isinstance(lease, Lease)
        async with flights.leading(lease):
            followers = [asyncio.create_task(flights.join(KEY)) for _ in range(10)]
            await asyncio.sleep(9.5 * LEASE_S)
            await flights.fulfil(lease, edit_result())
        joined = EditOutcome(edit_result(), CacheStatus.JOINED)
        assert await asyncio.gather(*followers) == [joined] * 10
        assert loop.time() == pytest.approx(9.5 * LEASE_S)

    run()
