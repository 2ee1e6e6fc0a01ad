"""Server-sent events, from the first one to the end or until the client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from serve_app.api.disconnect import until_disconnect
from serve_app.api.error_responses import as_service_error, error_body
from serve_app.api.request_id import request_id_of

SILENCE_S = 15.0
"""How long a stream may be silent; proxies give up after a minute (nginx) or half of one."""

_HEADERS = {
    "cache-control": "no-cache",
    # nginx would collect the events and deliver them together.
    "x-accel-buffering": "no",
}


def event(name: str, data: Mapping[str, Any], event_id: int | None = None) -> bytes:
    """One event of the stream; clients that come back tell the last ``event_id`` they saw."""
    known = "" if event_id is None else f"id: {event_id}\n"
    return f"{known}event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def comment(text: str) -> bytes:
    """A line that clients skip; it shows proxies that the connection is alive."""
    return f": {text}\n\n".encode()


class EventStream(Response):
    """Sends ``events``, already encoded, as they come.

    The answer begins with the first event, or with a comment after ``silence_s`` without
    one; comments follow as long as the edit waits. An error before the answer is raised,
    and becomes an ordinary error response; a later one ends the stream as an ``error``
    event. When the client leaves, the generator of the events is closed.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], silence_s: float = SILENCE_S) -> None:
        self._events = _never_silent(events, silence_s)
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await until_disconnect(receive, self._send(request_id_of(Request(scope)), send))

    async def _send(self, request_id: str, send: Send) -> None:
        started = False
        async with aclosing(_ending_with_error(self._events, request_id)) as events:
            async for chunk in events:
                if not started:
                    await send(self._start())
                    started = True
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if not started:
            await send(self._start())
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _start(self) -> Message:
        return {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }


async def _never_silent(
    events: AsyncGenerator[bytes, None], silence_s: float
) -> AsyncGenerator[bytes, None]:
    """``events``, and a comment whenever there was none for ``silence_s``.

    The generator runs in one task from its start to its end, because timeouts inside it
    belong to the task that entered them. The queue has no bound, for that task must wait
    nowhere but inside the generator; an edit has a few hundred small events.
    """
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()
    pump = asyncio.create_task(_pump(events, queue))
    try:
        while True:
            try:
                async with asyncio.timeout(silence_s):
                    chunk = await queue.get()
            except TimeoutError:
                chunk = comment("waiting")
            if chunk is None:
                break
            yield chunk
        await pump  # for its error
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)


async def _pump(events: AsyncGenerator[bytes, None], queue: asyncio.Queue[bytes | None]) -> None:
    """Move ``events`` to ``queue``, and ``None`` at their end, however they end."""
    try:
        async with aclosing(events):
            async for one in events:
                queue.put_nowait(one)
    finally:
        queue.put_nowait(None)


async def _ending_with_error(
    events: AsyncGenerator[bytes, None], request_id: str
) -> AsyncGenerator[bytes, None]:
    """``events``, and if they fail after the first one, the error as the last event."""
    started = False
    try:
        async with aclosing(events):
            async for one in events:
                started = True
                yield one
    except Exception as error:
        if not started:
            raise
        # Too late for a status: whatever it is, the stream has to say that it failed.
        known = as_service_error(error, request_id)
        yield event("error", error_body(known, request_id))
