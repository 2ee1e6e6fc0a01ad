"""The cache as the workflow sees it, whether it is one process or many."""

from __future__ import annotations

from typing import Any

from serve_app.deployments.calls import call, call_all
from serve_app.edits.result import EditResult
from serve_app.errors import EditServiceError, Quarantined
from serve_app.storage.shared_cache import Claim
from serve_app.storage.single_flight import Lease


class CacheClient:
    """The cache behind the handle of an actor, as the workflow's ``Cache``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def claim(self, key: str) -> Claim:
        return await call("cache", self._shard(key).claim.remote(key))

    async def fulfil(self, lease: Lease, result: EditResult) -> None:
        await call("cache", self._shard(lease.key).fulfil.remote(lease, result))

    async def refuse(self, lease: Lease, error: EditServiceError) -> None:
        await call("cache", self._shard(lease.key).refuse.remote(lease, error))

    async def replace(self, key: str, result: EditResult) -> None:
        await call("cache", self._shard(key).replace.remote(key, result))

    async def forget(self, key: str) -> None:
        """Keep the result of ``key`` no longer."""
        await call("cache", self._shard(key).forget.remote(key))

    async def renew(self, lease: Lease) -> bool:
        return await call("cache", self._shard(lease.key).renew.remote(lease))

    async def abandon(self, lease: Lease) -> None:
        await call("cache", self._shard(lease.key).abandon.remote(lease))

    async def quarantine(self, key: str, refusal: Quarantined) -> None:
        await call("cache", self._shard(key).quarantine.remote(key, refusal))

    async def quarantined(self, key: str) -> Quarantined | None:
        return await call("cache", self._shard(key).quarantined.remote(key))

    def _shard(self, key: str) -> Any:  # noqa: ARG002 - there is one for all keys
        return self._handle


class ShardedCacheClient(CacheClient):
    """The shards behind a Serve handle: every key has its own."""

    async def forget(self, key: str) -> None:
        """Keep the result of ``key`` no longer.

        All are told: while one is away its keys are at others, which may keep them still.
        """
        await call_all("cache", self._handle, "forget", key)

    async def quarantine(self, key: str, refusal: Quarantined) -> None:
        """Tell all: the key may belong to another shard soon, since replicas are dying."""
        await call_all("cache", self._handle, "quarantine", key, refusal)

    def _shard(self, key: str) -> Any:
        return self._handle.options(session_id=key)
