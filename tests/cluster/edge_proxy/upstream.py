"""What stands behind the edge in its tests: servers that note what reaches them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from benchmarks.serving import HOST

Answering = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came; ``body`` is empty where whoever answered did not read it."""

    method: str
    path: str
    headers: Headers
    body: bytes


async def answers(scope: Scope, receive: Receive, send: Send) -> None:
    """200, whatever was asked."""
    await JSONResponse({"answered": scope["path"]})(scope, receive, send)


async def ends_without_an_answer(scope: Scope, receive: Receive, send: Send) -> None:
    """What Serve's proxy does when the ingress dies: uvicorn then sends a 500 in plain text."""


@dataclass
class Upstream:
    """An HTTP server on ``port`` that notes each request, then lets ``answering`` answer.

    ``begun`` has the paths of requests as soon as their headers are there, ``received`` the
    requests that are whole.
    """

    port: int = 0
    answering: Answering = answers
    begun: list[str] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.begun.append(scope["path"])
        body = await request.body()
        self.received.append(
            Received(request.method, scope["raw_path"].decode(), request.headers, body)
        )
        await self.answering(scope, receive, send)

    async def until_the_client_leaves(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``arrived`` is set, no answer comes, and ``left`` is set when nobody waits for one."""
        self.arrived.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Run an upstream in a thread."""
    app = Upstream()
    listening = socket.create_server((HOST, 0))
    app.port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical"))
    thread = threading.Thread(target=asyncio.run, args=(server.serve([listening]),))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield app
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def dying() -> Iterator[int]:
    """A port where every request is read and its connection closed: a proxy that is killed."""
    with socket.create_server((HOST, 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return  # the test has ended
                with connection:
                    connection.recv(65536)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
