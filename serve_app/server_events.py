"""Server-sent events as a client reads them, comments included.

Comments are told too, which libraries drop: they say how far a streamed edit has come
(``api.results``), and that a silent stream is alive.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

COMMENT = "comment"
"""The name under which a comment line is told; its text is in ``data``."""

_ETA = r"(?:, done in about (?P<eta_s>[0-9.e+]+) s)?"
_PROGRESS = re.compile(r"attempt (?P<attempt>\d+) step (?P<step>\d+)/(?P<total>\d+)" + _ETA)
_WAITING = re.compile(r"attempt (?P<attempt>\d+) queued, (?P<position>\d+) ahead" + _ETA)


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event; ``id`` is what a reader can go on after, where the service gives one."""

    id: str | None
    name: str
    data: dict[str, Any]


def server_events(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """The events in ``lines``; one that is cut off at the end is none.

    Raises ``ValueError`` if an event's data is no JSON object.
    """
    event_id, name, data = None, "message", ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "" if line:
                yield ServerEvent(None, COMMENT, {"text": value})
            case "":
                if data:
                    yield ServerEvent(event_id, name, _object(data))
                event_id, name, data = None, "message", ""
            case "id":
                event_id = value
            case "event":
                name = value
            case "data":
                data += value + "\n"


def progress_of(comment: ServerEvent) -> ServerEvent | None:
    """How far a streamed edit has come, as jobs tell it: ``progress`` or ``waiting``.

    ``None`` for a comment that says something else.
    """
    text = comment.data["text"]
    for name, pattern in (("progress", _PROGRESS), ("waiting", _WAITING)):
        if found := pattern.fullmatch(text):
            numbers: dict[str, Any] = {
                key: int(value) for key, value in found.groupdict().items() if key != "eta_s"
            }
            eta_s = found["eta_s"]
            numbers["eta_s"] = None if eta_s is None else float(eta_s)
            return ServerEvent(None, name, numbers)
    return None


def _object(data: str) -> dict[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("The data of an event is no JSON object.")
    return value
