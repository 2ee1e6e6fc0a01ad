"""The stream on the wire."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from serve_app.api.event_stream import EventStream, comment
from serve_app.edits.result import Waiting
from serve_app.errors import EditFailed, NotReady
from tests.api.conftest import STEPS, Surface, check_error

WAITING = comment("waiting")


async def stays() -> Message:
    """What a client that does not leave sends: nothing."""
    await asyncio.Event().wait()
    raise AssertionError


async def test_comments_partial_images_and_the_result(surface: Surface) -> None:
    response = await surface.edit(stream="true", partial_images="1")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert "content-length" not in response.headers
    *blocks, rest = response.text.split("\n\n")
    assert rest == ""
    assert blocks[:STEPS] == [f": attempt 1 step {step}/{STEPS}" for step in (1, 2, 3)]
    names = [block.splitlines()[0] for block in blocks[STEPS:]]
    assert names == ["event: image_edit.partial_image", "event: image_edit.completed"]
    completed = json.loads(blocks[-1].splitlines()[1].removeprefix("data: "))
    assert completed["id"].startswith("edit-")
    assert completed["seed"] == 1000


@pytest.mark.parametrize(
    ("eta_s", "said"),
    [
        (None, ""),
        (12.3, ", done in about 12 s"),
        (4.24, ", done in about 4.2 s"),
        (0.0, ", done in about 0 s"),
        (9.96, ", done in about 10 s"),
        (1234.5, ", done in about 1234 s"),
    ],
)
async def test_estimates_are_told(surface: Surface, eta_s: float | None, said: str) -> None:
    surface.service.waits = [Waiting(1, 3, eta_s), Waiting(1, 0, eta_s)]
    surface.service.eta_s = eta_s
    blocks = (await surface.edit(stream="true")).text.split("\n\n")
    assert blocks[: STEPS + 2] == [
        f": attempt 1 queued, 3 ahead{said}",
        f": attempt 1 queued, 0 ahead{said}",
        *(f": attempt 1 step {step}/{STEPS}{said}" for step in (1, 2, 3)),
    ]


@pytest.mark.parametrize("failure", [EditFailed("No."), NotReady("Not yet.", None, 2.0)])
async def test_an_error_before_the_first_event_is_an_ordinary_one(
    surface: Surface, failure: EditFailed | NotReady
) -> None:
    surface.service.failure = failure
    check_error(await surface.edit(stream="true"), failure.status, failure.code)


async def test_an_unexpected_error_in_mid_stream_says_nothing(
    surface: Surface, caplog: pytest.LogCaptureFixture
) -> None:
    surface.service.failure, surface.service.fail_after = ValueError("canary"), 2
    response = await surface.edit(stream="true")
    assert response.status_code == 200
    event, data = response.text.split("\n\n")[-2].splitlines()
    assert event == "event: error"
    body = json.loads(data.removeprefix("data: "))
    assert body["error"]["code"] == "internal_error"
    assert body["request_id"] == response.headers["x-request-id"]
    assert "canary" not in response.text + caplog.text
    assert body["request_id"] in caplog.text


class Queued:
    """An edit that waits until its client was sent ``comments``, then fails or runs."""

    def __init__(self, comments: int, failure: BaseException | None = None) -> None:
        self._comments = comments
        self._failure = failure
        self._turn = asyncio.Event()
        self.sent: list[Message] = []
        self.tasks: set[asyncio.Task[object] | None] = set()
        self.closed = False

    async def events(self) -> AsyncGenerator[bytes, None]:
        try:
            async with asyncio.timeout(60):
                self.tasks.add(asyncio.current_task())
                await self._turn.wait()
                if self._failure is not None:
                    raise self._failure
                for chunk in (b"first", b"last"):
                    yield chunk
                    self.tasks.add(asyncio.current_task())
        finally:
            self.tasks.add(asyncio.current_task())
            self.closed = True

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if self.bodies.count(WAITING) == self._comments:
            self._turn.set()

    @property
    def bodies(self) -> list[bytes]:
        return [message.get("body", b"") for message in self.sent[1:]]

    async def run(self, receive: Receive = stays, silence_s: float = 0.0) -> None:
        scope = {"type": "http", "state": {"request_id": "id"}}
        stream = EventStream(self.events(), silence_s)
        await asyncio.wait_for(stream(scope, receive, self.send), 10)


async def test_a_queued_stream_is_not_silent() -> None:
    queued = Queued(comments=3)
    await queued.run()
    assert queued.sent[0]["type"] == "http.response.start"
    assert queued.bodies[:3] == [WAITING] * 3
    spoken = [body for body in queued.bodies if body != WAITING]
    assert spoken == [b"first", b"last", b""]
    # Timeouts inside a generator belong to the task that entered them.
    assert len(queued.tasks) == 1
    assert queued.closed


async def test_an_error_after_a_comment_is_an_event() -> None:
    queued = Queued(comments=1, failure=NotReady("Not yet.", None, 2.0))
    await queued.run()
    assert queued.sent[0]["status"] == 200
    assert queued.bodies[-2].startswith(b"event: error\n")
    assert b'"not_ready"' in queued.bodies[-2]
    assert queued.sent[-1]["more_body"] is False


async def test_an_error_before_any_comment_is_raised() -> None:
    queued = Queued(comments=0, failure=NotReady("Not yet.", None, 2.0))
    queued._turn.set()
    with pytest.raises(NotReady):
        await queued.run(silence_s=60)
    assert queued.sent == []


async def test_a_client_that_leaves_while_queued_ends_the_edit() -> None:
    queued = Queued(comments=-1)

    async def leaves() -> Message:
        while len(queued.bodies) < 3:
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await queued.run(leaves)
    assert queued.closed
    assert len(queued.tasks) == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_edit_cancelled_from_within_does_not_wait_for_ever() -> None:
    queued = Queued(comments=0, failure=asyncio.CancelledError())
    queued._turn.set()
    with pytest.raises(asyncio.CancelledError):
        await queued.run()
    assert queued.closed
