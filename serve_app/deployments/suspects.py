"""Work over which a replica may have died, run once more and so that it takes nobody along.

Whatever kills a replica kills all that is in it, and nobody can tell from outside which of the
requests it was. So each of them is run once more, with the same seed and so the same result, as a
*suspect*: a replica takes its suspects one after the other and says when it begins with one. If it
dies again, the one that it had begun with is taken to be the reason and is refused; the others,
which were waiting, go on elsewhere. A request that kills replicas gets two of them.

Somebody who loses two replicas by accident, the second in the seconds of its second run, is refused
as well; there is no telling it from the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from ray.exceptions import ActorDiedError, WorkerCrashedError

from serve_app.deployments.calls import iterate
from serve_app.errors import Quarantined, ReplicaLost

logger = logging.getLogger(__name__)

_DEATHS_BESIDE = 3
"""Replicas that may be lost while a suspect waits in them: more is no accident of one request."""

_HEARD_WITHIN_S = 0.05
"""``Began`` has reached the caller by then."""

_DEATHS = (ActorDiedError, WorkerCrashedError)
"""Other losses, such as that of a connection, are nobody's fault."""


@dataclass(frozen=True, slots=True)
class Began:
    """The replica begins with this suspect, and with no other before it has ended."""


class Suspects:
    """The suspects of one replica, one at a time."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def run(self, work: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        """Yield ``Began`` when it is this one's turn, then what ``work`` yields."""
        async with aclosing(work) as items, self._lock:
            yield Began()
            await asyncio.sleep(_HEARD_WITHIN_S)  # what follows may end the process
            async for item in items:
                yield item


async def run_as_suspect(part: str, send: Callable[[], Any]) -> AsyncGenerator[Any, None]:
    """Yield what a replica's ``Suspects.run`` yields, which ``send`` has asked it for.

    Raises ``Quarantined`` if the replica died while it ran this, ``ReplicaLost`` if one after
    the other died before its turn came, and what ``calls.iterate`` raises.
    """
    for _ in range(_DEATHS_BESIDE):
        logger.warning("the %s was lost over a request, which is run once more", part)
        began = False
        try:
            async with aclosing(iterate(part, send())) as items:
                async for item in items:
                    if isinstance(item, Began):
                        began = True
                    else:
                        yield item
            return
        except ReplicaLost as error:
            if began and isinstance(error.__cause__, _DEATHS):
                raise Quarantined(
                    f"This request stopped the {part} twice and is not run any more. Change the "
                    "image, the size or the instruction."
                ) from error
    raise ReplicaLost(f"The {part} stops again and again. Send the request later.", None, 5.0)
