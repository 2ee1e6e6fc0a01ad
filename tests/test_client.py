"""The client: what it asks for, how it tells errors, and that it goes on where it was."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.client import RECONNECTING, Client
from serve_app.errors import EditServiceError, InvalidRequest, NotReady
from serve_app.server_connection import ServerRefused
from tests.elsewhere import Answer, Elsewhere, Stream, elsewhere, error, event, nowhere, state

JOB = "job-" + "0" * 32
EVENTS = f"/v1/jobs/{JOB}/events"


@pytest.fixture
def service() -> Iterator[Elsewhere]:
    with elsewhere() as served:
        yield served


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(service: Elsewhere, pauses: list[float]) -> Iterator[Client]:
    with Client(service.url, pause=pauses.append) as opened:
        yield opened


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(b"\x89PNG...")
    return path


def told(client: Client, last_event_id: str | None = None) -> list[tuple[str | None, str]]:
    return [(it.id, it.name) for it in client.events(JOB, last_event_id)]


# Requests and answers.


def test_an_image_is_uploaded_under_its_id(client: Client, service: Elsewhere, image: Path) -> None:
    service.on("POST", "/v1/files", Answer({"id": "img-1", "width": 1, "height": 1, "bytes": 7}))
    assert client.upload(image) == "img-1"
    (part,) = service.asked[0].parts
    assert (part.name, part.file_name, part.content) == ("file", "photo.png", b"\x89PNG...")


def test_a_job_is_handed_in_with_its_key(client: Client, service: Elsewhere) -> None:
    service.on("POST", "/v1/jobs", Answer({"id": JOB}, 202))
    assert client.submit({"kind": "edit"}, "once") == {"id": JOB}
    assert client.submit({"kind": "edit"}) == {"id": JOB}
    first, second = service.asked
    assert first.json == {"kind": "edit"}
    assert first.headers["idempotency-key"] == "once"
    assert "idempotency-key" not in second.headers


def test_filters_that_are_none_are_left_out(client: Client, service: Elsewhere) -> None:
    service.on("GET", "/v1/jobs", Answer({"data": [], "has_more": False, "next_cursor": None}))
    assert client.jobs(state="failed", label=None, limit=3)["data"] == []
    assert service.asked[0].query == {"state": "failed", "limit": "3"}


def test_jobs_are_steered(client: Client, service: Elsewhere) -> None:
    service.on("GET", f"/v1/jobs/{JOB}", Answer({"state": "failed"}))
    service.on("POST", f"/v1/jobs/{JOB}/cancel", Answer({"state": "cancelled"}))
    service.on("POST", f"/v1/jobs/{JOB}/retry", Answer({"state": "queued"}))
    service.on("POST", f"/v1/jobs/{JOB}/fork", Answer({"id": "job-2"}, 202))
    service.on("DELETE", f"/v1/jobs/{JOB}", Answer(status=204))
    assert client.job(JOB)["state"] == "failed"
    assert client.cancel(JOB)["state"] == "cancelled"
    assert client.retry(JOB)["state"] == "queued"
    assert client.fork(JOB, {"from_step": 1})["id"] == "job-2"
    client.delete(JOB)
    assert service.asked[3].json == {"from_step": 1}
    assert service.asked[4].method == "DELETE"


def test_a_result_is_its_png(client: Client, service: Elsewhere) -> None:
    service.on("GET", "/v1/results/edit-1", Answer(b"png"))
    assert client.image("edit-1") == b"png"


# Errors.


def test_an_error_tells_what_the_service_says(client: Client, service: Elsewhere) -> None:
    service.on("POST", "/v1/jobs", Answer(error("There is no such field.", "sead"), 400))
    with pytest.raises(ServerRefused) as refused:
        client.submit({"sead": 1})
    assert isinstance(refused.value, EditServiceError)
    assert refused.value.param == "sead"
    assert refused.value.message == "There is no such field. (`sead`)"


def test_a_field_is_named_once(client: Client, service: Elsewhere) -> None:
    service.on("POST", "/v1/jobs", Answer(error("`prompt` is required.", "prompt"), 400))
    with pytest.raises(ServerRefused) as refused:
        client.submit({})
    assert refused.value.message == "`prompt` is required."


def test_trouble_of_the_service_has_a_time_and_a_request(
    client: Client, service: Elsewhere
) -> None:
    body = error("No editor is warm yet.", None, "server_error")
    service.on("POST", "/v1/jobs", Answer(body, 503, {"retry-after": "5"}))
    with pytest.raises(ServerRefused) as refused:
        client.submit({})
    assert refused.value.message == "No editor is warm yet. Try again in 5 s. (request req-1)"


@pytest.mark.parametrize("answer", [Answer(b"<html>"), Answer([]), Answer(b"<html>", 404)])
def test_what_is_not_the_service_is_told_with_its_url(
    client: Client, service: Elsewhere, answer: Answer
) -> None:
    service.on("GET", f"/v1/jobs/{JOB}", answer)
    service.on("GET", EVENTS, answer)
    for ask in (lambda: client.job(JOB), lambda: list(client.events(JOB))):
        with pytest.raises(ServerRefused, match=service.url):
            ask()


def test_where_no_service_answers_it_says_how_to_start_one() -> None:
    url = nowhere()
    with Client(url) as client, pytest.raises(NotReady) as raised:
        client.job(JOB)
    assert url in raised.value.message
    assert "serve run" in raised.value.message


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", "http://a b:x"])
def test_an_address_must_be_one(url: str) -> None:
    with pytest.raises(InvalidRequest, match="no address"):
        Client(url)


def test_a_file_that_can_not_be_read_is_named(client: Client, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"gone\.png"):
        client.upload(tmp_path / "gone.png")


# The events of a job.


def test_events_are_told_to_the_end(client: Client, service: Elsewhere) -> None:
    progress = {"index": 0, "attempt": 1, "step": 1, "total": 8, "eta_s": None}
    pieces = [state("queued", 1), ": waiting\n\n", event("progress", progress), state("failed", 2)]
    service.on("GET", EVENTS, Stream(pieces))
    events = list(client.events(JOB))
    assert [(it.id, it.name) for it in events] == [
        ("1", "state"),
        (None, "progress"),
        ("2", "state"),
    ]
    assert events[1].data == progress
    assert "last-event-id" not in service.asked[0].headers


def test_it_goes_on_after_a_broken_connection(
    client: Client, service: Elsewhere, pauses: list[float]
) -> None:
    """What had come is not told again, and half an event is none."""
    half = event("step", {"index": 0}, 3)[:-5]
    service.on(
        "GET",
        EVENTS,
        Stream([state("queued", 1), state("running", 2), half], broken=True),
        Stream([event("step", {"index": 0}, 3), state("succeeded", 4)]),
    )
    names = told(client)
    assert [it for it in names if it[1] != RECONNECTING] == [
        ("1", "state"),
        ("2", "state"),
        ("3", "step"),
        ("4", "state"),
    ]
    assert service.asked[1].headers["last-event-id"] == "2"
    assert len(pauses) == 1


def test_it_goes_on_after_a_stream_that_ended_early(client: Client, service: Elsewhere) -> None:
    service.on("GET", EVENTS, Stream([state("running", 1)]), Stream([state("succeeded", 2)]))
    assert told(client)[-1] == ("2", "state")


def test_it_goes_on_when_the_service_is_back(
    client: Client, service: Elsewhere, pauses: list[float]
) -> None:
    away = Answer(error("No editor.", None, "server_error"), 503, {"retry-after": "4"})
    service.on(
        "GET",
        EVENTS,
        Stream([state("running", 7)], broken=True),
        away,
        Answer("Bad gateway", 502),
        Stream([event("error", error("Lost.", None, "server_error"))]),
        Stream([state("succeeded", 8)]),
    )
    assert told(client)[-1] == ("8", "state")
    assert [it.headers.get("last-event-id") for it in service.asked] == [None, "7", "7", "7", "7"]
    assert pauses[0] < pauses[2] < pauses[3]
    assert pauses[1] == 4  # as the service asked for


def test_why_it_waits_is_told(client: Client, service: Elsewhere) -> None:
    service.on("GET", EVENTS, Stream([], broken=True), Stream([state("succeeded", 1)]))
    first = next(client.events(JOB))
    assert first.name == RECONNECTING
    assert first.data["in_s"] > 0
    assert service.url in first.data["reason"]


def test_it_gives_up_after_minutes(client: Client, service: Elsewhere, pauses: list[float]) -> None:
    service.on("GET", EVENTS, Answer(error("Away.", None, "server_error"), 503))
    with pytest.raises(ServerRefused, match="Away"):
        list(client.events(JOB))
    assert 120 <= sum(pauses) <= 900
    assert max(pauses) <= 30


@pytest.mark.parametrize(
    "answer",
    [Answer(error("No such job."), 404), Stream([event("error", error("No such job."))])],
)
def test_a_refusal_is_not_asked_again(
    client: Client, service: Elsewhere, pauses: list[float], answer: Answer | Stream
) -> None:
    service.on("GET", EVENTS, answer)
    with pytest.raises(ServerRefused, match="No such job"):
        list(client.events(JOB))
    assert not pauses


def test_the_past_of_a_retried_job_is_not_its_end(client: Client, service: Elsewhere) -> None:
    past = [state("failed", 1), state("queued", 2)]
    service.on("GET", EVENTS, Stream(past, broken=True), Stream([state("succeeded", 3)]))
    assert told(client)[-1] == ("3", "state")


def test_after_the_last_event_there_is_none(
    client: Client, service: Elsewhere, pauses: list[float]
) -> None:
    service.on("GET", EVENTS, Stream([]))
    service.on("GET", f"/v1/jobs/{JOB}", Answer({"state": "succeeded"}))
    assert told(client, "9") == []
    assert service.asked[0].headers["last-event-id"] == "9"
    assert not pauses


# A streamed edit.


def completed(data: bytes = b"image") -> str:
    facts = {"id": "edit-1", "seed": 7, "verdict": "pass", "attempts": 1, "cache": "miss"}
    return event(
        "image_edit.completed", {"b64_json": base64.b64encode(data).decode("ascii")} | facts
    )


def test_an_edit_tells_its_progress_and_its_image(
    client: Client, service: Elsewhere, image: Path
) -> None:
    pieces = [
        ": attempt 1 queued, 2 ahead\n\n",
        ": waiting\n\n",
        ": attempt 1 step 3/8, done in about 2.1 s\n\n",
        completed(),
    ]
    service.on("POST", "/v1/images/edits", Stream(pieces))
    events = list(client.edit([image, image], {"prompt": "more", "seed": 7, "size": None}, image))
    assert [it.name for it in events] == ["waiting", "progress", "image_edit.completed"]
    assert events[0].data == {"attempt": 1, "position": 2, "eta_s": None}
    assert events[1].data == {"attempt": 1, "step": 3, "total": 8, "eta_s": 2.1}
    assert events[2].data["id"] == "edit-1"
    parts = service.asked[0].parts
    files = [it.name for it in parts if it.file_name is not None]
    fields = {it.name: it.content.decode() for it in parts if it.file_name is None}
    assert files == ["image", "image", "mask"]
    assert fields == {"prompt": "more", "seed": "7", "stream": "true"}


@pytest.mark.parametrize("broken", [False, True])
def test_an_edit_without_an_image_is_an_error(
    client: Client, service: Elsewhere, image: Path, broken: bool
) -> None:
    service.on("POST", "/v1/images/edits", Stream([": waiting\n\n"], broken))
    with pytest.raises(NotReady, match=service.url):
        list(client.edit([image], {"prompt": "more"}))
    assert len(service.asked) == 1


def test_an_edit_that_fails_on_the_way_is_an_error(
    client: Client, service: Elsewhere, image: Path
) -> None:
    pieces = [": waiting\n\n", event("error", error("No image came.", None, "server_error"))]
    service.on("POST", "/v1/images/edits", Stream(pieces))
    with pytest.raises(ServerRefused, match="No image came"):
        list(client.edit([image], {"prompt": "more"}))
