"""Every answer carries an ``x-request-id``, also those the application never saw."""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"

# Anything else could forge lines in a log or in the headers of the answer.
_TRUSTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIdMiddleware:
    """Give each request an id: the client's own if it is harmless, else a new one.

    ``in_headers`` is false behind a server that sends the header by itself, as Ray Serve's
    proxy does: clients would read two ids as one.
    """

    def __init__(self, app: ASGIApp, in_headers: bool = True) -> None:
        self._app = app
        self._in_headers = in_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(HEADER, "")
        request_id = sent if _TRUSTED.fullmatch(sent) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if self._in_headers and message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


def request_id_of(connection: HTTPConnection) -> str:
    """The id that the middleware gave this request."""
    request_id: str = connection.state.request_id
    return request_id
