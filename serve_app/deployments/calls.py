"""Calls between deployments: translated failures, withdrawn when the caller goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.errors import (
    EditServiceError,
    NotReady,
    Overloaded,
    PartFailed,
    ReplicaLost,
    RouterLost,
)

_LOST = (RayActorError, NodeDiedError, ObjectLostError, OutOfMemoryError, WorkerCrashedError)
"""What Ray raises when a replica goes, or its node, with the answer that it had ready."""


async def call(part: str, response: Any) -> Any:
    """Await a handle's response, for the deployment called ``part`` in messages.

    Serve withdraws a call when the request it belongs to is cancelled, but not when only
    the task that awaits it is (a deadline, a sibling that failed): that is done here.
    """
    try:
        with translated(part):
            return await response
    except asyncio.CancelledError:
        _withdraw(response)
        raise


async def call_again(part: str, send: Callable[[], Any]) -> Any:
    """``call`` what ``send`` sends; once more, elsewhere, if the replica dies over it."""
    try:
        return await call(part, send())
    except _loss_of(part):
        return await call(part, send())


async def call_all(part: str, handle: Any, method: str, *arguments: Any) -> None:
    """Call a method of every replica behind ``handle``."""
    with translated(part):
        await handle.broadcast(method, *arguments).results_async()


async def iterate(part: str, responses: Any) -> AsyncGenerator[Any, None]:
    """Iterate over a handle's streamed responses; withdraw the call when that ends early."""
    try:
        with translated(part):
            async for item in responses:
                yield item
    finally:
        _withdraw(responses)  # nothing happens if it has ended


def _loss_of(part: str) -> type[ReplicaLost]:
    """What the loss of a replica of ``part`` is: of a router, no loss of what it called."""
    return RouterLost if part == "router" else ReplicaLost


def _withdraw(response: Any) -> None:
    # A call that could not be sent raises why once more, in place of what is on its way here.
    with suppress(Exception):
        response.cancel()


@contextmanager
def translated(part: str) -> Iterator[None]:
    """Raise our own errors for whatever goes wrong in a call to ``part``."""
    try:
        yield
    except RayTaskError as error:
        # Ray wraps what a replica raises; the caller should see the original.
        if isinstance(error.cause, EditServiceError):
            raise error.cause from None
        # The replica has logged it; its text may quote what the user sent.
        raise PartFailed(f"The {part} failed on this request.") from None
    except _LOST as error:
        raise _loss_of(part)(
            f"The {part} stopped while it worked on this. Send the request again.", None, 1.0
        ) from error
    except BackPressureError as error:
        raise Overloaded(f"The {part} is busy. Send the request again later.", None, 1.0) from error
    except (DeploymentUnavailableError, RayError) as error:
        # Not there, being stopped, or whatever else may be between us and it.
        raise NotReady(f"The {part} is not available yet.", None, 5.0) from error
