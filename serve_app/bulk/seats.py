"""Which rows are edited at once: a batch that stays full, of rows that can share its steps."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

_PASSED_OVER = 4
"""So many times the number of seats the oldest that waits may be passed over."""

_NOBODY = object()
"""The company of who must be alone."""


@dataclass(slots=True, eq=False)
class _Waiting:
    company: Hashable
    turn: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    passed_over: int = 0


class Seats:
    """At most ``number`` at once. A free seat goes to company of those who sit, if any waits.

    Rows of another size can't share a step: taken by age alone, a mixed manifest would run in
    batches of few. Whoever waits is passed over a limited number of times. For one event loop.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._free = number
        self._one_alone = asyncio.Lock()
        self._most_passed = _PASSED_OVER * number
        self._seated: Counter[Hashable] = Counter()
        self._queue: dict[_Waiting, None] = {}

    @asynccontextmanager
    async def taken(self, company: Hashable) -> AsyncIterator[None]:
        """Wait for a seat and hold it while the body runs; equal ``company`` sits together."""
        await self._take(company)
        try:
            yield
        finally:
            self._leave(company)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold all seats while the body runs: whoever else waits comes after it."""
        async with self._one_alone, AsyncExitStack() as seats:
            for _ in range(self._number):
                await seats.enter_async_context(self.taken(_NOBODY))
            yield

    async def _take(self, company: Hashable) -> None:
        if self._free:
            self._sit(company)
            return
        waiting = _Waiting(company)
        self._queue[waiting] = None
        try:
            await waiting.turn
        except asyncio.CancelledError:
            self._queue.pop(waiting, None)
            if waiting.turn.done() and not waiting.turn.cancelled():
                self._leave(company)  # called up and cancelled in one turn of the loop
            raise

    def _leave(self, company: Hashable) -> None:
        self._free += 1
        self._seated[company] -= 1
        self._seated += Counter()  # forgets those at zero
        # Some may be cancelled and not have heard of it yet.
        self._queue = {one: None for one in self._queue if not one.turn.done()}
        if self._queue:
            called = self._next()
            del self._queue[called]
            self._sit(called.company)
            called.turn.set_result(None)

    def _sit(self, company: Hashable) -> None:
        self._free -= 1
        self._seated[company] += 1

    def _next(self) -> _Waiting:
        for called in self._queue:
            if called.company is _NOBODY:
                return called
        oldest = next(iter(self._queue))
        if oldest.passed_over >= self._most_passed:
            return oldest
        for company, _ in self._seated.most_common():
            for called in self._queue:
                if called.company == company:
                    oldest.passed_over += called is not oldest
                    return called
        return oldest
