"""The result cache: content-addressed, in memory and on disk.

A key names everything that decides an edit's pixels, so an entry never goes stale: it is
only ever evicted. Entries are immutable and shared between callers.
"""

from __future__ import annotations

import asyncio

from cachetools import Cache, LRUCache, TTLCache

from serve_app.edits.result import EditResult
from serve_app.storage.disk_tier import DiskTier


class MemoryTier:
    """The most recently used results, at most ``max_bytes`` by ``EditResult.nbytes``.

    With ``keep_s`` none is kept longer than that, seconds. For one event loop; not thread-safe.
    """

    def __init__(self, max_bytes: int, keep_s: float | None = None) -> None:
        def size(result: EditResult) -> int:
            return result.nbytes

        self._entries: Cache[str, EditResult] = (
            LRUCache(max_bytes, getsizeof=size)
            if keep_s is None
            else TTLCache(max_bytes, keep_s, getsizeof=size)
        )

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return int(self._entries.currsize)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> EditResult | None:
        """The entry of ``key``, which becomes the most recently used."""
        return self._entries.get(key)

    def put(self, key: str, result: EditResult) -> None:
        """Keep a result; one that is larger than the tier is not kept."""
        self._entries.pop(key, None)
        if result.nbytes <= self._entries.maxsize:
            self._entries[key] = result

    def discard(self, key: str) -> None:
        """Keep the entry of ``key`` no longer."""
        self._entries.pop(key, None)


class ResultCache:
    """Both tiers as one: memory first, then disk, which runs off the event loop.

    Without ``disk`` it is the memory alone. No method raises for trouble with the disk.
    """

    def __init__(self, memory: MemoryTier, disk: DiskTier | None) -> None:
        self._memory = memory
        self._disk = disk
        self._discards = 0

    async def get(self, key: str) -> EditResult | None:
        """The entry of ``key``, or ``None``; what the disk had is kept in memory from now on."""
        if (held := self._memory.get(key)) is not None:
            return held
        if self._disk is None:
            return None
        discards = self._discards
        found = await asyncio.to_thread(self._disk.get, key)
        # A refresh may have put a newer entry while the disk was read: that one wins.
        if (held := self._memory.get(key)) is not None:
            return held
        if found is not None and discards == self._discards:
            self._memory.put(key, found)
        return found

    async def discard(self, key: str) -> None:
        """Keep the entry of ``key`` no longer."""
        self._discards += 1
        self._memory.discard(key)
        if self._disk is not None:
            await asyncio.to_thread(self._disk.discard, key)

    async def put(self, key: str, result: EditResult) -> None:
        """Keep ``result`` in both tiers, replacing what was there."""
        self._memory.put(key, result)
        if self._disk is not None:
            await asyncio.to_thread(self._disk.put, key, result)
