"""``GET /v1/monitor``, and which requests are counted for it as what."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from serve_app.api.request_counting import RequestCountingMiddleware
from serve_app.errors import EditFailed, Overloaded
from tests.api.conftest import Surface
from tests.monitoring.outcomes import outcome


async def summary(surface: Surface) -> dict[str, Any]:
    """What the monitor says once everything was reported."""
    assert await surface.reporter.push()
    response = await surface.client.get("/v1/monitor")
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    return body


async def test_it_needs_no_editor_and_answers_before_anything_happened(surface: Surface) -> None:
    surface.service.warm = False
    body = await summary(surface)
    assert body.keys() == {
        *(
            "window",
            "interval_s",
            "uptime_s",
            "sampled_s_ago",
            "cpu",
            "memory",
            "gpus",
            "requests",
            "edits",
        ),
        *("attempts", "cache", "queue", "stages", "percentile_error"),
    }
    assert body["requests"]["total"] == 0
    assert body["memory"]["service_bytes"]["current"] > 0


async def test_the_documentation_names_all_of_it(surface: Surface) -> None:
    body = await summary(surface)
    operation = (await surface.client.get("/openapi.json")).json()["paths"]["/v1/monitor"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["properties"].keys() == body.keys()
    for name, part in schema["properties"].items():
        if "properties" in part:
            assert part["properties"].keys() == body[name].keys()


async def test_answers_are_counted_by_their_class(surface: Surface) -> None:
    assert (await surface.edit()).status_code == 200
    assert (await surface.edit(seed="none")).status_code == 400
    assert (await surface.client.get("/nowhere")).status_code == 404
    for failure in (EditFailed("No."), ValueError("a failure of our own")):
        surface.service.failure = failure
        assert (await surface.edit()).status_code == 500
    requests = (await summary(surface))["requests"]
    assert requests["by_status"] == {"2xx": 1, "4xx": 2, "5xx": 2}
    assert requests["error_rate"] == {"4xx": 0.4, "5xx": 0.4}
    assert (requests["total"], requests["in_flight"]) == (5, 0)


@pytest.mark.parametrize("path", ["/health", "/ready", "/v1/monitor", "/metrics"])
async def test_who_only_looks_is_not_counted(surface: Surface, path: str) -> None:
    await surface.client.get(path)
    assert (await summary(surface))["requests"]["total"] == 0


async def test_a_stream_counts_when_it_begins(surface: Surface) -> None:
    surface.service.failure, surface.service.fail_after = Overloaded("later"), 2
    assert "event: error" in (await surface.edit(stream="true")).text
    assert (await summary(surface))["requests"]["by_status"] == {"2xx": 1}


async def test_requests_being_answered_are_in_flight(surface: Surface) -> None:
    surface.service.block = asyncio.Event()
    running = asyncio.create_task(surface.edit())
    await surface.service.started.wait()
    requests = (await summary(surface))["requests"]
    assert (requests["in_flight"], requests["total"]) == (1, 0)
    surface.service.block.set()
    await running
    requests = (await summary(surface))["requests"]
    assert (requests["in_flight"], requests["total"]) == (0, 1)


async def test_edits_and_their_stages_are_told(surface: Surface) -> None:
    for verdict in ("pass", "fail"):
        surface.reporter.began()
        surface.reporter.completed(outcome("text", verdict), 3.0)
    surface.reporter.began()
    surface.reporter.failed(Overloaded.code)
    body = await summary(surface)
    assert body["edits"]["by_type_and_verdict"] == {"text": {"pass": 1, "fail": 1}}
    assert body["edits"]["failures"] == {"overloaded": 1}
    assert body["stages"].keys() == {"denoise", "validate", "total"}
    assert body["stages"]["total"]["p50_s"] == pytest.approx(3.0, rel=body["percentile_error"])
    assert body["queue"]["edits"] == 0


class Counted:
    """Writes down what the middleware counts."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def request_began(self) -> None:
        self.told.append("began")

    def request_answered(self, status_class: str) -> None:
        self.told.append(status_class)

    def request_ended(self) -> None:
        self.told.append("ended")


async def receive() -> Message:
    return {"type": "http.disconnect"}


async def send(message: Message) -> None:
    return None


def scope(**more: object) -> Scope:
    return {"type": "http", "method": "GET", "path": "/v1/models", "headers": [], **more}


async def test_a_client_that_leaves_before_the_answer_is_unanswered() -> None:
    async def leave(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    counters = Counted(), Counted()
    with pytest.raises(asyncio.CancelledError):
        await RequestCountingMiddleware(leave, counters)(scope(), receive, send)
    assert [counter.told for counter in counters] == 2 * [["began", "ended", "unanswered"]]


@pytest.mark.parametrize(
    ("scope", "counted"),
    [
        (scope(), True),
        (scope(path="/edits/v1/models", root_path="/edits"), True),
        (scope(path="/edits/health", root_path="/edits"), False),
        (scope(path="/health", root_path="/"), False),
        (scope(type="lifespan"), False),
    ],
)
async def test_the_prefix_that_it_is_served_at_changes_nothing(scope: Scope, counted: bool) -> None:
    async def answer(_: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("x")({"type": "http"}, receive, send)

    counter = Counted()
    await RequestCountingMiddleware(answer, [counter])(scope, receive, send)
    assert counter.told == (["began", "2xx", "ended"] if counted else [])
