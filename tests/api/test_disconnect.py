"""When the client leaves, its work ends: by cancellation or by ``http.disconnect``."""

import asyncio
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope

from serve_app.api.disconnect import all_or_none, until_disconnect
from tests.api.conftest import PHOTO, Surface


class Connection:
    """A client that can leave, at the level of ASGI."""

    def __init__(self, surface: Surface, **fields: str) -> None:
        request = httpx.Request(
            "POST",
            "http://edits.test/v1/images/edits",
            files={"image": ("x", PHOTO)},
            data={"prompt": "x", **fields},
        )
        self.scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": request.url.path,
            "raw_path": request.url.raw_path,
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": ("edits.test", 80),
            "client": ("127.0.0.1", 1),
        }
        self._app = surface.app
        self.body = request.read()
        self.left = asyncio.Event()
        self.sent: list[Message] = []

    async def run(self) -> None:
        await self._app(self.scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if self.body:
            body, self.body = self.body, b""
            return {"type": "http.request", "body": body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self.left.is_set():
            raise OSError
        self.sent.append(message)


@pytest.mark.parametrize("fields", [{}, {"n": "3"}, {"stream": "true"}], ids=str)
@pytest.mark.parametrize("how", ["disconnect", "cancel"])
async def test_the_edit_is_withdrawn(
    surface: Surface, fields: dict[str, str], how: str, caplog: pytest.LogCaptureFixture
) -> None:
    surface.service.block = asyncio.Event()
    connection = Connection(surface, **fields)
    task = asyncio.create_task(connection.run())
    await asyncio.wait_for(surface.service.started.wait(), 10)
    if how == "cancel":
        task.cancel()
    else:
        connection.left.set()
    done, _ = await asyncio.wait({task}, timeout=5)
    assert done
    assert task.cancelled() == (how == "cancel")
    if not task.cancelled():
        assert task.exception() is None
    assert surface.service.cancelled == int(fields.get("n", 1))
    assert surface.service.finished == 0
    others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    assert others == []
    assert caplog.text == ""


async def test_a_client_that_stays_gets_its_stream(surface: Surface) -> None:
    connection = Connection(surface, stream="true")
    await asyncio.wait_for(connection.run(), 10)
    assert connection.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert surface.service.finished == 1


async def test_a_client_that_leaves_while_sending_its_body(
    surface: Surface, caplog: pytest.LogCaptureFixture
) -> None:
    connection = Connection(surface)
    connection.body = b""
    connection.left.set()
    await asyncio.wait_for(connection.run(), 5)
    assert (connection.sent, surface.service.requests, caplog.text) == ([], [], "")


async def never() -> Any:
    await asyncio.Event().wait()


async def test_work_and_its_errors_come_through() -> None:
    async def fail() -> None:
        raise KeyError

    assert await until_disconnect(never, asyncio.sleep(0, "done")) == "done"
    with pytest.raises(KeyError):
        await until_disconnect(never, fail())
    with pytest.raises(KeyError):
        await all_or_none([never(), fail()])

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await until_disconnect(gone, never())


@pytest.mark.parametrize("fields", [{}, {"stream": "true"}], ids=str)
async def test_a_connection_that_really_closes(surface: Surface, fields: dict[str, str]) -> None:
    """Uvicorn does not cancel the task of a request: only the surface can end the edit."""
    surface.service.block = asyncio.Event()
    server = uvicorn.Server(uvicorn.Config(surface.app, port=0, log_level="critical"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    request = Connection(surface, **fields)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"".join(b"%s: %s\r\n" % header for header in request.scope["headers"])
    writer.write(b"POST /v1/images/edits HTTP/1.1\r\n" + head + b"\r\n" + request.body)
    await asyncio.wait_for(surface.service.started.wait(), 10)
    assert surface.service.cancelled == 0
    writer.close()
    for _ in range(200):
        if surface.service.cancelled:
            break
        await asyncio.sleep(0.01)
    assert (surface.service.cancelled, surface.service.finished) == (1, 0)
    server.should_exit = True
    await asyncio.wait_for(serving, 10)
