"""Responses of Serve handles whose replicas answer, die or keep silent: Ray's side of a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any, Self

from ray.serve.exceptions import BackPressureError


class Response:
    """A handle's response that gives ``items`` and ends; an exception among them is raised.

    Without any it never answers. One that could not be sent says so again when it is cancelled,
    as Serve's do.
    """

    def __init__(self, *items: object) -> None:
        self._items = items
        self.cancelled = False

    def __await__(self) -> Generator[Any, None, object]:
        return self._answer().__await__()

    async def __aiter__(self) -> AsyncGenerator[object, None]:
        if not self._items:
            await asyncio.Event().wait()
        for item in self._items:
            yield self._given(item)

    async def _answer(self) -> object:
        if not self._items:
            await asyncio.Event().wait()
        return self._given(self._items[0])

    def _given(self, item: object) -> object:
        if isinstance(item, Exception):
            raise item
        return item

    def cancel(self) -> None:
        self.cancelled = True
        for item in self._items:
            if isinstance(item, BackPressureError):
                raise item


class Handle:
    """A deployment's handle: ``responses`` by method, given out one after the other.

    ``calls`` are the methods that were called, each with its session and its arguments.
    """

    def __init__(self, **responses: list[Response]) -> None:
        self._responses = responses
        self._method = ""
        self._session = ""
        self.calls: list[tuple[str, str, tuple[object, ...]]] = []

    def __getattr__(self, method: str) -> Handle:
        if method.startswith("_"):
            raise AttributeError(method)
        return self.options(method_name=method)

    def options(self, *, method_name: str = "", session_id: str = "", stream: bool = False) -> Self:
        """The same handle for one method and session."""
        other = type(self)(**self._responses)
        other._responses, other.calls = self._responses, self.calls
        other._method = method_name or self._method
        other._session = session_id or self._session
        return other

    def remote(self, *arguments: object) -> Response:
        self.calls.append((self._method, self._session, arguments))
        return self._responses[self._method].pop(0)
