"""Single flight over a cache that may be away: it saves edits and costs none.

Serve keeps a call to a part without replicas waiting, so nothing here waits without end: a
cache that does not answer is done without, and a finished edit is delivered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from serve_app.edits.result import EditOutcome, EditResult
from serve_app.errors import EditServiceError, InvalidRequest, NotReady, Quarantined
from serve_app.storage.single_flight import Lease
from serve_app.workflows.ports import Cache

logger = logging.getLogger(__name__)

_ANSWER_S = 5.0
"""How long the cache may take over what it does in milliseconds, seconds."""


class Flights:
    """The shared cache as one workflow uses it; ``lease_s`` is ``cache.lease_s``."""

    def __init__(self, cache: Cache, lease_s: float) -> None:
        self._cache = cache
        self._lease_s = lease_s

    async def join(self, key: str) -> EditOutcome | Lease | None:
        """The result of ``key``, or the right to make it; ``None`` without a cache.

        Waits for whoever is making it. Raises the error that a leader met and that awaits
        this caller, too.
        """
        while True:
            try:
                async with asyncio.timeout(self._lease_s + _ANSWER_S):
                    claim = await self._cache.claim(key)
            except (EditServiceError, TimeoutError) as error:
                logger.warning("editing without the cache: %s", type(error).__name__)
                return None
            if isinstance(claim, EditServiceError):
                raise claim
            if claim is not None:
                return claim

    @asynccontextmanager
    async def leading(self, lease: Lease) -> AsyncIterator[None]:
        """Keep the lease while the body runs; if that fails, free those who wait for it.

        A request that nobody can serve is refused for all; after any other failure, and after
        a cancellation, the next in line leads.
        """
        renewing = asyncio.create_task(self._renew(lease))
        try:
            yield
        except InvalidRequest as error:
            await self._let_go(self._cache.refuse(lease, error))
            raise
        except BaseException:
            await self._let_go(self._cache.abandon(lease))
            raise
        finally:
            renewing.cancel()

    async def fulfil(self, lease: Lease, result: EditResult) -> None:
        """Give ``result`` to everybody who waits for it, and keep it."""
        await _in_time(self._cache.fulfil(lease, result))

    async def abandon(self, lease: Lease) -> None:
        """Let the next in line try."""
        await _in_time(self._cache.abandon(lease))

    async def replace(self, key: str, result: EditResult) -> None:
        """Keep ``result`` in place of what was there."""
        await _in_time(self._cache.replace(key, result))

    async def quarantine(self, key: str, refusal: Quarantined) -> None:
        """Let no later request run ``key``."""
        await _in_time(self._cache.quarantine(key, refusal))

    async def check(self, key: str) -> None:
        """Raise ``Quarantined`` if ``key`` must not be run; ``join`` does so by itself."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                refusal = await self._cache.quarantined(key)
        except (EditServiceError, TimeoutError) as error:
            logger.warning("editing without the cache: %s", type(error).__name__)
            return
        if refusal is not None:
            raise refusal

    async def forget(self, key: str) -> None:
        """Keep the result of ``key`` no longer; raises ``NotReady`` if that can't be told."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._cache.forget(key)
        except TimeoutError as error:
            raise NotReady("The cache does not answer. Try again later.", None, 5.0) from error

    async def _renew(self, lease: Lease) -> None:
        interval_s = self._lease_s / 3
        while True:
            await asyncio.sleep(interval_s)
            await _in_time(self._cache.renew(lease), interval_s)

    @staticmethod
    async def _let_go(release: Coroutine[Any, Any, None]) -> None:
        # In a task of its own: the present one may be in the middle of being cancelled.
        await asyncio.shield(asyncio.create_task(_in_time(release)))


async def _in_time(call: Coroutine[Any, Any, object], answer_s: float = _ANSWER_S) -> None:
    """Await a call to the cache, which is a convenience: its trouble costs no edit."""
    try:
        async with asyncio.timeout(answer_s):
            await call
    except Exception as error:  # noqa: BLE001 - whatever it is, the edit is more important
        logger.warning("the cache did not take a note: %s", type(error).__name__)
