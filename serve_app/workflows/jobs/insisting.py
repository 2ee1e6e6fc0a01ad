"""Work that is owed: a database that is away for a while must not end it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from serve_app.errors import NotReady

T = TypeVar("T")

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Call until the answer is not ``NotReady``, with growing pauses."""
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except NotReady:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
