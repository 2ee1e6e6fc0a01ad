"""The shared cache: one replica, where identical edits of all routers meet."""

from __future__ import annotations

from typing import Any

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.calls import call
from serve_app.edits.result import EditResult
from serve_app.errors import EditServiceError
from serve_app.storage.shared_cache import Claim
from serve_app.storage.single_flight import Lease


@serve.deployment(name="Cache")
class Cache:
    """Holds both tiers and the flights. Losing it loses no edit, only time."""

    def __init__(self, config: ServiceConfig) -> None:
        from serve_app.storage.shared_cache import SharedCache

        self._cache = SharedCache.open(config.cache, config.storage.folder)

    async def claim(self, key: str) -> Claim:
        return await self._cache.claim(key)

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

    async def load_figures(self) -> dict[str, int]:
        return self._cache.load_figures()


class CacheClient:
    """The cache behind a Serve handle, as the workflow's ``Cache``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def claim(self, key: str) -> Claim:
        return await call("cache", self._handle.claim.remote(key))

    async def fulfil(self, lease: Lease, result: EditResult) -> None:
        await call("cache", self._handle.fulfil.remote(lease, result))

    async def refuse(self, lease: Lease, error: EditServiceError) -> None:
        await call("cache", self._handle.refuse.remote(lease, error))

    async def replace(self, key: str, result: EditResult) -> None:
        await call("cache", self._handle.replace.remote(key, result))

    async def forget(self, key: str) -> None:
        """Keep the result of ``key`` no longer."""
        await call("cache", self._handle.forget.remote(key))

    async def renew(self, lease: Lease) -> bool:
        return await call("cache", self._handle.renew.remote(lease))

    async def abandon(self, lease: Lease) -> None:
        await call("cache", self._handle.abandon.remote(lease))
