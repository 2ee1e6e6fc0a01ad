"""A shard of the shared cache, where identical edits of all routers meet."""

from __future__ import annotations

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.logs import log_with_serve
from serve_app.deployments.metrics import CacheMetrics
from serve_app.edits.result import EditResult
from serve_app.errors import EditServiceError, Quarantined
from serve_app.storage.shared_cache import Claim
from serve_app.storage.single_flight import Lease


@serve.deployment(name="Cache")
class Cache:
    """Holds both tiers and the flights of its keys. Losing it loses no edit, only time."""

    # Async, so that it runs on the event loop that its metrics are set on.
    async def __init__(self, config: ServiceConfig) -> None:  # type: ignore[misc]
        from serve_app.monitoring.repeating import Repeating
        from serve_app.storage.shared_cache import SharedCache

        log_with_serve()
        self._cache = SharedCache(config.cache, config.storage.folder)
        self._metrics = CacheMetrics()
        interval_s = config.monitor.interval_s
        self._showing = Repeating(self._show, interval_s, "the cache's metrics are not set")
        self._showing.start()

    async def claim(self, key: str) -> Claim:
        claim = await self._cache.claim(key)
        self._metrics.claimed(claim)
        return claim

    async def fulfil(self, lease: Lease, result: EditResult) -> None:
        await self._cache.fulfil(lease, result)

    async def refuse(self, lease: Lease, error: EditServiceError) -> None:
        await self._cache.refuse(lease, error)

    async def replace(self, key: str, result: EditResult) -> None:
        await self._cache.replace(key, result)

    async def forget(self, key: str) -> None:
        await self._cache.forget(key)

    async def renew(self, lease: Lease) -> bool:
        return await self._cache.renew(lease)

    async def abandon(self, lease: Lease) -> None:
        await self._cache.abandon(lease)

    async def quarantine(self, key: str, refusal: Quarantined) -> None:
        await self._cache.quarantine(key, refusal)

    async def quarantined(self, key: str) -> Quarantined | None:
        return await self._cache.quarantined(key)

    async def load_figures(self) -> dict[str, int]:
        return self._cache.load_figures()

    async def _show(self) -> None:
        self._metrics.show(self._cache.load_figures())

    async def __del__(self) -> None:
        if showing := getattr(self, "_showing", None):
            await showing.stop()
