"""Work whose replica was lost, run once more, and so that it takes nobody along.

Whatever kills a replica kills all that is in it, and nobody can tell from outside which of the
requests it was. So each of them is run once more, with the same seed and so the same result, as a
*suspect*: a replica takes its suspects one after the other and says when it begins with one. If it
dies again, the one that it had begun with is taken to be the reason and is refused; the others,
which were waiting, go on elsewhere. A request that kills replicas gets two of them.

Somebody who loses two replicas by accident, the second in the seconds of its second run, is refused
as well; there is no telling it from the other. A connection that is lost, and a node with all that
is on it, are nobody's fault: what was there is run once more beside everything else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from ray.exceptions import ActorDiedError, OutOfMemoryError, WorkerCrashedError

from serve_app.deployments.calls import iterate
from serve_app.errors import Quarantined, ReplicaLost

logger = logging.getLogger(__name__)

_LOSSES = 3
"""Replicas that may be lost with a request in them, one after the other: more is no accident."""

_HEARD_WITHIN_S = 0.05
"""``Began`` has reached the caller by then."""

_ENDS_WITHIN_S = 2.0
"""What a replica does for a suspect that was withdrawn has ended by then."""

_DEATHS = (ActorDiedError, OutOfMemoryError, WorkerCrashedError)
"""What Ray raises for a process that ended."""

_WITH_ITS_NODE = "node has died"
"""In the message of an ``ActorDiedError``, whose only word on this it is."""


@dataclass(frozen=True, slots=True)
class Began:
    """The replica begins with this suspect, and with no other before it has ended."""


class Suspects:
    """The suspects of one replica, one at a time."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def run(
        self, work: AsyncGenerator[Any, None], suspect: bool = True
    ) -> AsyncGenerator[Any, None]:
        """Yield ``Began`` when it is this one's turn, then what ``work`` yields.

        What is no ``suspect`` waits for nobody, and nobody for it.
        """
        async with aclosing(work) as items, self._turn() if suspect else nullcontext():
            if suspect:
                yield Began()
                await asyncio.sleep(_HEARD_WITHIN_S)  # what follows may end the process
            async for item in items:
                yield item

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        await self._lock.acquire()
        try:
            yield
        except BaseException:
            # Withdrawn in the middle of a step or a check, which goes on to its end.
            asyncio.get_running_loop().call_later(_ENDS_WITHIN_S, self._lock.release)
            raise
        self._lock.release()


async def run_again(
    part: str, loss: ReplicaLost, send: Callable[[bool], Any]
) -> AsyncGenerator[Any, None]:
    """Yield what comes of a request that met ``loss``.

    ``send`` sends it to a replica, as a suspect or not, which runs it by ``Suspects.run``.

    Raises ``Quarantined`` if the replica died while it ran this as a suspect, ``ReplicaLost`` if
    one after the other was lost otherwise, and what ``calls.iterate`` raises.
    """
    for _ in range(_LOSSES):
        logger.warning("the %s was lost over a request, which is run once more", part)
        suspect, began = _died(loss), False
        try:
            async with aclosing(iterate(part, send(suspect))) as items:
                async for item in items:
                    if isinstance(item, Began):
                        began = True
                    else:
                        yield item
            return
        except ReplicaLost as error:
            if began and _died(error):
                raise Quarantined(
                    f"This request stopped the {part} twice and is not run any more. Change the "
                    "image, the size or the instruction."
                ) from error
            loss = error
    raise ReplicaLost(f"The {part} stops again and again. Send the request later.", None, 5.0)


def _died(loss: ReplicaLost) -> bool:
    """Whether the process ended by itself, so that what it ran may be the reason."""
    return isinstance(loss.__cause__, _DEATHS) and _WITH_ITS_NODE not in str(loss.__cause__)
