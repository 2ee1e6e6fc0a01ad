"""What tests of jobs do over HTTP: submit, read, list, watch, steer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.types import Message, Scope

from tests.api.conftest import DATA_URL, PHOTO, Surface
from tests.images.containers import saved, solid

Json = dict[str, Any]

OTHER = saved(solid("RGB", (200, 10, 10), (64, 48)), "PNG")
FAILING = {"prompt": "x", "mask_box": [0, 0, 1000, 1000]}
"""A step that fails by itself: whether a box lies within an image is known when it runs."""


async def start(surface: Surface) -> Surface:
    """Begin to run the jobs."""
    surface.jobs.start()
    await surface.jobs.launched()
    return surface


async def submit(surface: Surface, key: str | None = None, **specification: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await surface.client.post("/v1/jobs", json=specification, headers=headers)


async def accepted(surface: Surface, **specification: Any) -> Json:
    """Submit a job, by default one edit of a photo."""
    if not specification.keys() & {"kind"}:
        specification = {"kind": "edit", "image": DATA_URL, "prompt": "x"} | specification
    response = await submit(surface, **specification)
    assert response.status_code == 202, response.text
    return dict(response.json())


async def chain(surface: Surface, *steps: Json, **fields: Any) -> Json:
    return await accepted(surface, kind="chain", image=DATA_URL, steps=[*steps], **fields)


async def stored(surface: Surface, data: bytes = PHOTO) -> str:
    response = await surface.client.post("/v1/files", files={"file": ("x", data)})
    return str(response.json()["id"])


async def read(surface: Surface, job: Json) -> Json:
    response = await surface.client.get(job["links"]["self"])
    assert response.status_code == 200
    return dict(response.json())


async def ended(surface: Surface, job: Json) -> Json:
    """Watch a job to its end and read it."""
    await watched(surface, job)
    return await read(surface, job)


async def steer(surface: Surface, job: Json, how: str, body: Json | None = None) -> httpx.Response:
    return await surface.client.post(job["links"][how], json=body)


async def listed(surface: Surface, **filters: str) -> Json:
    response = await surface.client.get("/v1/jobs", params=filters)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def ids_of(surface: Surface, **filters: str) -> list[str]:
    return [job["id"] for job in (await listed(surface, **filters))["data"]]


@dataclass(frozen=True)
class Event:
    name: str
    data: Json
    id: int | None


def events_in(text: str) -> list[Event]:
    """The events of a stream, comments left out."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        if fields:
            known = int(fields["id"]) if "id" in fields else None
            events.append(Event(fields["event"], json.loads(fields["data"]), known))
    return events


async def watched(surface: Surface, job: Json, last_id: int | None = None) -> list[Event]:
    """All events of a job until its end, or those after ``last_id``."""
    headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
    response = await surface.client.get(job["links"]["events"], headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return events_in(response.text)


def states(events: list[Event]) -> list[str]:
    return [event.data["state"] for event in events if event.name == "state"]


class LeavingReader:
    """Reads the events of a job until one of them is ``enough``, and leaves."""

    def __init__(self, surface: Surface, job: Json, enough: Callable[[Event], bool]) -> None:
        path = job["links"]["events"]
        self._app = surface.app
        self._scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"edits.test")],
            "server": ("edits.test", 80),
            "client": ("127.0.0.1", 1),
        }
        self._enough = enough
        self._asked = False
        self._left = asyncio.Event()
        self.events: list[Event] = []

    async def read(self) -> list[Event]:
        await asyncio.wait_for(self._app(self._scope, self._receive, self._send), 30)
        return self.events

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._left.is_set():
            raise OSError
        self.events += events_in(message.get("body", b"").decode())
        if any(map(self._enough, self.events)):
            self._left.set()


async def at_work(surface: Surface, job: Json) -> None:
    """Return once an edit of the job is running."""
    await LeavingReader(surface, job, lambda event: event.name == "progress").read()
