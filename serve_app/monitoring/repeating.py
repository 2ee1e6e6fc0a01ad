"""Work that is done again and again beside everything else, whatever it fails with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


class Repeating:
    """Does ``work`` every ``interval_s`` seconds on the running event loop.

    It begins at once, or with ``wait_first`` after the first interval. ``what`` names a failure
    of it in the log; the next time comes all the same.
    """

    def __init__(
        self,
        work: Callable[[], Awaitable[object]],
        interval_s: float,
        what: str,
        *,
        wait_first: bool = False,
    ) -> None:
        self._work = work
        self._interval_s = interval_s
        self._what = what
        self._wait_first = wait_first
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, once; needs the running event loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._regularly())

    async def stop(self) -> None:
        """End it, also in the middle."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _regularly(self) -> None:
        if self._wait_first:
            await asyncio.sleep(self._interval_s)
        while True:
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 whatever it is, it must not end the rest
                logger.warning("%s: %s", self._what, type(error).__name__)
            await asyncio.sleep(self._interval_s)
