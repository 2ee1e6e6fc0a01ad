"""Work that is owed: what is away for a while, or full, must not end it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from serve_app.errors import EditServiceError, NotReady

T = TypeVar("T")

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Call database or storage until the answer is not ``NotReady``, with growing pauses."""
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except NotReady:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


async def patiently(
    call: Callable[[], Awaitable[T]],
    patience_s: float,
    left_s: Callable[[], float | None],
    what: str,
) -> T:
    """Call a part of the service; while that is full or partly away, wait and try again.

    It ends with the last refusal ``patience_s`` seconds after the first one, and no pause is
    longer than ``left_s`` says is left. ``what`` waits is told in the log.
    """
    patient_until: float | None = None
    pause_s = _FIRST_WAIT_S
    while True:
        try:
            return await call()
        except EditServiceError as error:
            # The time in our own queue is nobody's refusal.
            patient_until = patient_until or time.monotonic() + patience_s
            if not error.retryable or time.monotonic() > patient_until:
                raise
            wait_s = max(pause_s, error.retry_after_s or 0.0) * random.uniform(0.8, 1.2)
            logger.info("%s waits %.1f s: %s", what, wait_s, error.code)
        left = left_s()
        await asyncio.sleep(wait_s if left is None else max(0.0, min(wait_s, left)))
        pause_s = min(2 * pause_s, _LONGEST_WAIT_S)
