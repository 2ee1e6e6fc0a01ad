"""A request's body, form or JSON, as one flat list of named values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from starlette.requests import Request

from serve_app.api.multipart import read_form
from serve_app.errors import InvalidRequest, MissingField, UnsupportedMediaType

MULTIPART = "multipart/form-data"
JSON = "application/json"

# Parsing blocks the event loop for as long as there are values, not bytes: 8 MB of `{"a":0},`
# took 1.2 s. A prompt may hold thousands of commas, a request has some twenty fields, and a job
# up to a thousand steps.
_MAX_JSON_MARKS = 50_000
_JSON_MARKS = b"{[,"
_WINDOW = 2**18

Pairs = list[tuple[str, Any]]
"""Names and values, in order; names may come again."""


async def read_multipart(request: Request) -> Pairs:
    """The parts of a form; every other kind of body is refused."""
    if _media_type(request) != MULTIPART:
        raise UnsupportedMediaType(f"Send the body as {MULTIPART}.")
    return [*await read_form(request.headers["content-type"], request.stream())]


async def read_json(request: Request) -> dict[str, Any]:
    """The object that a JSON body holds; every other kind of body is refused."""
    if _media_type(request) != JSON:
        raise UnsupportedMediaType(f"Send the body as {JSON}.")
    return _json_object(await request.body())


async def read_json_with_files(
    request: Request, name: str
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A JSON object, and the files beside it: of a form, whose part ``name`` is the object."""
    media_type = _media_type(request)
    if media_type == JSON:
        return _json_object(await request.body()), {}
    if media_type != MULTIPART:
        raise UnsupportedMediaType(f"Send the body as {MULTIPART} or {JSON}.")
    parts = unique(await read_multipart(request))
    text = parts.pop(name, None)
    if text is None:
        raise MissingField(f"`{name}` is required.", name)
    for other, value in parts.items():
        if not isinstance(value, bytes):
            raise InvalidRequest("This part must be a file, with a file name.", other[:64])
    body = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return _json_object(body), parts


async def read_form_or_json(request: Request) -> tuple[Pairs, bool]:
    """The body's fields, and whether their values have JSON's types (or are all text)."""
    media_type = _media_type(request)
    if media_type == MULTIPART:
        return await read_multipart(request), False
    if media_type == JSON:
        return [*_json_object(await request.body()).items()], True
    raise UnsupportedMediaType(f"Send the body as {MULTIPART} or {JSON}.")


def unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """``pairs`` as a dictionary, unless a name comes twice.

    Parsers disagree on which twin counts: refusing both is the only safe reading.
    """
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise InvalidRequest("The field is given twice.", name[:64])
        values[name] = value
    return values


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_json(text: str | bytes) -> Any:
    """``text`` as strict JSON: without NaN and infinities, no name twice in an object.

    Raises:
        ValueError: If it is not JSON, not Unicode, nested without end, or has an integer of
            thousands of digits.
        InvalidRequest: If a name comes twice.
    """
    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError from None


def _json_object(body: bytes) -> dict[str, Any]:
    if _has_too_many_values(body):
        raise InvalidRequest("The JSON body has too many values.")
    try:
        value = parse_json(body)
    except ValueError:
        raise InvalidRequest("The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The JSON body must be an object.")
    return value


def _has_too_many_values(body: bytes) -> bool:
    """Whether parsing ``body`` would take long; stops counting once it is sure."""
    marks = 0
    for start in range(0, len(body), _WINDOW):
        marks += sum(body.count(mark, start, start + _WINDOW) for mark in _JSON_MARKS)
        if marks > _MAX_JSON_MARKS:
            return True
    return False


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError
