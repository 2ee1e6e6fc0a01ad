"""A client for the service's HTTP API, for the command line and for scripts.

``with Client("http://127.0.0.1:8000") as client: client.submit({...})``. Every method raises
``ServerRefused`` for an error that the service answered with, and ``NotReady``, which names
the URL, where none answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from serve_app.errors import EditServiceError, InvalidRequest, NotReady
from serve_app.server_connection import ServerConnection
from serve_app.server_events import COMMENT, ServerEvent, progress_of
from serve_app.workflows.jobs.job import JobState

RECONNECTING = "reconnecting"
"""The name of an event of our own: the stream broke, and is asked for again in ``in_s``."""

FINAL_STATES = frozenset(str(state) for state in JobState if state.final)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_GIVE_UP_S = 300.0
"""How long, in pauses, a service may be away in the middle of a job."""


class Client:
    """Talks to the service at ``base_url``. ``pause`` sleeps for a number of seconds."""

    def __init__(self, base_url: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._server = ServerConnection(base_url)
        self._pause = pause

    @property
    def base_url(self) -> str:
        """Where the service is."""
        return self._server.base_url

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._server.close()

    # Images.

    def upload(self, path: Path) -> str:
        """Store an image; return the id to name it by."""
        file_id = self._server.json("POST", "/v1/files", files=[_part("file", path)]).get("id")
        return file_id if isinstance(file_id, str) else self._server.not_ours()

    def image(self, result_id: str) -> bytes:
        """The PNG of a finished edit."""
        return self._server.call("GET", f"/v1/results/{_segment(result_id)}").content

    def edit(
        self,
        images: Sequence[Path],
        fields: Mapping[str, str | int | float | None],
        mask: Path | None = None,
    ) -> Iterator[ServerEvent]:
        """Edit ``images``; tells of ``waiting`` and ``progress`` as jobs do, then the result.

        ``fields`` are those of ``POST /v1/images/edits``; ``None`` leaves one out. The last
        event is ``image_edit.completed``.
        """
        parts = [_part("image", image) for image in images]
        if mask is not None:
            parts.append(_part("mask", mask))
        form = {name: str(value) for name, value in fields.items() if value is not None}
        request = {"files": parts, "data": form | {"stream": "true"}}
        with closing(self._server.stream("POST", "/v1/images/edits", **request)) as events:
            for event in events:
                told = progress_of(event) if event.name == COMMENT else event
                if told is not None:
                    yield told
                if event.name == "image_edit.completed":
                    return
        raise NotReady(f"{self._server.base_url} stopped answering before the image was there.")

    # Jobs.

    def submit(
        self, specification: Mapping[str, Any], idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Hand in a job; with a key that was used before it is the job of that time."""
        headers = {} if idempotency_key is None else {"idempotency-key": idempotency_key}
        return self._server.json("POST", "/v1/jobs", json=dict(specification), headers=headers)

    def jobs(self, **filters: str | int | float | None) -> dict[str, Any]:
        """A page of the list of jobs, the newest first; ``None`` leaves a filter out."""
        given = {name: value for name, value in filters.items() if value is not None}
        return self._server.json("GET", "/v1/jobs", params=given)

    def job(self, job_id: str) -> dict[str, Any]:
        """A job with its steps."""
        return self._server.json("GET", _path(job_id))

    def archive(self, job_id: str) -> Iterator[bytes]:
        """The zip archive of all that came of a job, in pieces."""
        return self._server.pieces("GET", _path(job_id, "archive"))

    def cancel(self, job_id: str) -> dict[str, Any]:
        """End a job that is queued or running."""
        return self._server.json("POST", _path(job_id, "cancel"))

    def retry(self, job_id: str) -> dict[str, Any]:
        """Run an ended job again from the step that failed."""
        return self._server.json("POST", _path(job_id, "retry"))

    def fork(self, job_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A new job that takes over the first steps of another one."""
        return self._server.json("POST", _path(job_id, "fork"), json=dict(body))

    def delete(self, job_id: str) -> None:
        """Erase a job with its inputs and results."""
        self._server.call("DELETE", _path(job_id))

    # Saved workflows.

    def put_workflow(self, name: str, workflow: Mapping[str, Any]) -> dict[str, Any]:
        """Save the next version of a workflow; the latest one if it says the same."""
        return self._server.json("PUT", _workflow_path(name), json=dict(workflow))

    def workflows(self) -> dict[str, Any]:
        """The list of workflows."""
        return self._server.json("GET", "/v1/workflows")

    def workflow(self, name: str, version: int | None = None) -> dict[str, Any]:
        """A workflow, by default its latest version."""
        params = {} if version is None else {"version": version}
        return self._server.json("GET", _workflow_path(name), params=params)

    def run_workflow(
        self, name: str, body: Mapping[str, Any], idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Hand in the job that a workflow makes of ``body``; keys as in ``submit``."""
        headers = {} if idempotency_key is None else {"idempotency-key": idempotency_key}
        return self._server.json(
            "POST", f"{_workflow_path(name)}/run", json=dict(body), headers=headers
        )

    def delete_workflow(self, name: str) -> None:
        """Erase all versions of a workflow."""
        self._server.call("DELETE", _workflow_path(name))

    def events(self, job_id: str, last_event_id: str | None = None) -> Iterator[ServerEvent]:
        """What happened to a job after ``last_event_id``, and what happens, to its end.

        Goes on where it was when the stream breaks or the service is away, for some minutes:
        before each new try it tells of it as an event named ``RECONNECTING``.
        """
        over, waited_s, pause_s = False, 0.0, _FIRST_PAUSE_S
        while True:
            came = False
            try:
                with closing(self._job_stream(job_id, last_event_id)) as events:
                    for event in events:
                        waited_s, pause_s = 0.0, _FIRST_PAUSE_S
                        if event.name == COMMENT:
                            continue
                        came = True
                        last_event_id = event.id or last_event_id
                        if event.name == "state":
                            # Not the end yet: a retried job has a final state in its past.
                            over = event.data.get("state") in FINAL_STATES
                        yield event
                if over or not (came or self._goes_on(job_id)):
                    return
                trouble: EditServiceError = NotReady(f"{self._server.base_url} ended the stream.")
            except EditServiceError as error:
                if not error.retryable or waited_s >= _GIVE_UP_S:
                    raise
                trouble = error
            wait_s = max(pause_s, min(trouble.retry_after_s or 0.0, _LONGEST_PAUSE_S))
            yield ServerEvent(None, RECONNECTING, {"in_s": wait_s, "reason": trouble.message})
            self._pause(wait_s)
            waited_s, pause_s = waited_s + wait_s, min(2 * pause_s, _LONGEST_PAUSE_S)

    def _job_stream(
        self, job_id: str, last_event_id: str | None
    ) -> Generator[ServerEvent, None, None]:
        headers = {} if last_event_id is None else {"last-event-id": last_event_id}
        return self._server.stream("GET", _path(job_id, "events"), headers=headers)

    def _goes_on(self, job_id: str) -> bool:
        return self.job(job_id).get("state") not in FINAL_STATES

    # A/B tests.

    def analyse(self, test: Mapping[str, Any]) -> dict[str, Any]:
        """Analyse the counts of an A/B test; with a ``job`` it is kept there."""
        return self._server.json("POST", "/v1/ab-tests/analyze", json=dict(test))


def _part(name: str, path: Path) -> tuple[str, tuple[str, bytes]]:
    try:
        return name, (path.name, path.read_bytes())
    except OSError as error:
        raise InvalidRequest(f"{path}: The file can't be read.", name) from error


def _segment(text: str) -> str:
    return quote(text, safe="")


def _workflow_path(name: str) -> str:
    return f"/v1/workflows/{_segment(name)}"


def _path(job_id: str, action: str | None = None) -> str:
    return f"/v1/jobs/{_segment(job_id)}" + ("" if action is None else f"/{action}")
