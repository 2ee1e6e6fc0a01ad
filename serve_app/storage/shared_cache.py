"""The result cache with single flight: where identical edits meet."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cachetools import TTLCache

from serve_app.config import CacheConfig
from serve_app.edits.result import CacheStatus, EditOutcome, EditResult
from serve_app.errors import EditServiceError, Quarantined
from serve_app.storage.cache import MemoryTier, ResultCache
from serve_app.storage.disk_tier import DiskTier
from serve_app.storage.single_flight import Lease, SingleFlight

Claim = EditOutcome | Lease | EditServiceError | None
"""The result, the right to make it, why it can't be made, or nothing yet: ask again."""


_MOST_QUARANTINED = 10_000


class SharedCache:
    """One per key range, asked by every router: a finished edit, or the right to run it."""

    def __init__(self, config: CacheConfig, folder: Path) -> None:
        """The cache that ``config`` describes, its disk tier under ``folder``."""
        disk = DiskTier(folder / "cache", config.disk_bytes) if config.disk_bytes else None
        self._cache = ResultCache(MemoryTier(config.memory_bytes), disk)
        self._lease_s = config.lease_s
        self._flights: SingleFlight[EditResult | EditServiceError] = SingleFlight(config.lease_s)
        self._quarantine: TTLCache[str, Quarantined] = TTLCache(
            _MOST_QUARANTINED, config.quarantine_s
        )

    async def claim(self, key: str) -> Claim:
        """Find the result of ``key``, wait for whoever is making it, or lead.

        With a lease the caller must ``fulfil``, ``refuse`` or ``abandon`` it, and ``renew``
        it before ``lease_s`` seconds pass in silence. An error is what a leader met that
        awaits this caller, too; it is returned, since raised ones are the cache's own.

        Nobody waits longer than ``lease_s`` at a time. Ray does not tell when a caller has
        died: one that never asks again must not be the next to lead.
        """
        if (result := await self._cache.get(key)) is not None:
            return EditOutcome(result, CacheStatus.HIT)
        if (refusal := await self.quarantined(key)) is not None:
            return refusal
        try:
            async with asyncio.timeout(self._lease_s):
                answer = await self._flights.acquire(key)
        except TimeoutError:
            return None
        if isinstance(answer, EditServiceError):
            return answer
        if isinstance(answer, EditResult):
            return EditOutcome(answer, CacheStatus.JOINED)
        if (refusal := await self.quarantined(key)) is not None:
            # The leader before had to let it go.
            self._flights.complete(answer, refusal)
            return refusal
        try:
            # The flight before may have landed between the look above and the lease.
            result = await self._cache.get(key)
        except BaseException:
            self._flights.abandon(answer)
            raise
        if result is None:
            return answer
        self._flights.complete(answer, result)
        return EditOutcome(result, CacheStatus.HIT)

    async def fulfil(self, lease: Lease, result: EditResult) -> None:
        """Keep the leader's result and give it to everybody who waits for it."""
        self._flights.complete(lease, result)
        await self._cache.put(lease.key, result)

    async def refuse(self, lease: Lease, error: EditServiceError) -> None:
        """Give everybody who waits the error that awaits whoever runs this request."""
        self._flights.complete(lease, error)

    async def abandon(self, lease: Lease) -> None:
        """Give the lease up: the oldest caller that waits leads next."""
        self._flights.abandon(lease)

    async def renew(self, lease: Lease) -> bool:
        """Say that the leader still works; false if the lease was taken over."""
        return self._flights.renew(lease)

    def load_figures(self) -> dict[str, int]:
        """Flights in the air, and totals since the start, by name."""
        flights = self._flights
        return {
            "flying": len(flights),
            "waiting": flights.waiting,
            "leads": flights.leads,
            "joins": flights.joins,
            "handovers": flights.handovers,
        }

    async def quarantine(self, key: str, refusal: Quarantined) -> None:
        """Answer whoever claims ``key`` from now on with ``refusal``."""
        self._quarantine[key] = refusal

    async def quarantined(self, key: str) -> Quarantined | None:
        """Why ``key`` must not be run, if it must not."""
        return self._quarantine.get(key)

    async def forget(self, key: str) -> None:
        """Keep the result of ``key`` no longer: it is to be erased."""
        await self._cache.discard(key)

    async def replace(self, key: str, result: EditResult) -> None:
        """Keep ``result`` in place of what was there."""
        await self._cache.put(key, result)
