"""Work that ends when the client leaves.

Some servers cancel the task of a request whose client has gone, others only say so to
whoever reads from the connection. Reading while the work runs covers both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

T = TypeVar("T")


async def until_disconnect(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``; when the client leaves, cancel it and raise ``ClientDisconnect``.

    The body of the request must have been read to its end.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        gone.result()
        raise ClientDisconnect
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def all_or_none(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all of ``work`` together; the first failure cancels the rest and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failures:
        # A caller asked for one thing: one error tells it better than a group.
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
