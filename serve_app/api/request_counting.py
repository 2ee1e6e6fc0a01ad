"""Every request is counted by the class of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.monitoring.labels import UNANSWERED, status_class

NOT_COUNTED = frozenset({"/health", "/ready", "/metrics", "/v1/monitor"})
"""What load balancers and whoever watches ask for: it is no load, and would hide errors."""


class RequestCounter(Protocol):
    """Counts requests, as ``monitoring.reporter.Reporter`` does."""

    def request_began(self) -> None: ...

    def request_answered(self, status_class: str) -> None: ...

    def request_ended(self) -> None: ...


class RequestCountingMiddleware:
    """Count an answer when it begins, so that a stream counts at once and as what it began as.

    A request whose client goes before that counts as unanswered.
    """

    def __init__(self, app: ASGIApp, counters: Sequence[RequestCounter]) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _path(scope) in NOT_COUNTED:
            await self._app(scope, receive, send)
            return
        answered = False

        async def counted_send(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start" and not answered:
                answered = True
                self._answered(status_class(message["status"]))
            await send(message)

        for counter in self._counters:
            counter.request_began()
        try:
            await self._app(scope, receive, counted_send)
        finally:
            for counter in self._counters:
                counter.request_ended()
            if not answered:
                self._answered(UNANSWERED)

    def _answered(self, status_class: str) -> None:
        for counter in self._counters:
            counter.request_answered(status_class)


def _path(scope: Scope) -> str:
    """The path as the routes know it, without the prefix that the application is served at."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "").rstrip("/"))
