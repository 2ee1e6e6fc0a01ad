"""``${name}`` in text: which parameters it names, and the text with their values.

What a value says is never read as a reference again: whoever fills in a parameter can't reach
another one, nor any other field of the job.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.errors import InvalidRequest

MAX_DEPTH = 16
"""Objects and lists within each other; no kind of job needs more than five."""

MAX_MADE = 2_000_000
"""Characters of all the text that one run puts together, in defaults and in the job: values may
hold values, doubled each time, and a job has thousands of fields."""

# `$${` stands for `${` itself. The last one is a mistake.
_MARK = re.compile(r"\$(?P<literal>\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})\}|\$\{")


@dataclass(frozen=True, slots=True)
class Reference:
    """A place that refers to a parameter; ``alone`` if the string there says nothing else."""

    path: str
    name: str
    alone: bool


def references(value: Any, path: str) -> Iterator[Reference]:
    """All references below ``value``, which is at ``path``.

    Raises ``InvalidRequest`` for a ``${`` that is no reference, and for what is nested too deeply.
    """
    for here, text in _texts(value, path, MAX_DEPTH):
        for mark in _marks(text, here):
            if mark["name"]:
                yield Reference(here, mark["name"], alone=mark[0] == text)


class Filling:
    """Puts ``values``, one for each name that is referred to, in the place of references.

    One run has one of these, which counts all the text that it makes; ``values`` may grow.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._left = MAX_MADE

    def filled(self, value: Any, path: str, most: int = MAX_MADE) -> Any:
        """``value`` with all references below it filled in.

        A string that is nothing but a reference becomes the value itself, of its own type; in
        other text a value stands as text, and what is no string as JSON. Names of fields stay as
        they are. Raises ``InvalidRequest`` before a text is made that has more than ``most``
        characters, or with which all of it has more than ``MAX_MADE``.
        """
        match value:
            case str():
                return self._text(value, path, most)
            case list():
                return [
                    self.filled(one, f"{path}.{index}", most) for index, one in enumerate(value)
                ]
            case dict():
                return {
                    name: self.filled(one, f"{path}.{name}", most) for name, one in value.items()
                }
            case _:
                return value

    def _text(self, text: str, path: str, most: int) -> Any:
        if (whole := _MARK.fullmatch(text)) and whole["name"]:
            return self._values[whole["name"]]
        pieces: list[str] = []
        end = length = 0
        for mark in _marks(text, path):
            own = _as_text(self._values[mark["name"]]) if mark["name"] else mark["literal"]
            pieces += [text[end : mark.start()], own]
            length += mark.start() - end + len(own)
            end = mark.end()
            self._check_length(length, path, most)
        if not pieces:
            return text
        length += len(text) - end
        self._check_length(length, path, most)
        self._left -= length
        return "".join([*pieces, text[end:]])

    def _check_length(self, length: int, path: str, most: int) -> None:
        if length > most:
            raise InvalidRequest(f"The values make this text longer than {most} characters.", path)
        if length > self._left:
            raise InvalidRequest(
                f"The values make the text of this job longer than {MAX_MADE} characters.", path
            )


def _texts(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth < 0:
        raise InvalidRequest(f"At most {MAX_DEPTH} objects and lists are within each other.", path)
    match value:
        case str():
            yield path, value
        case list():
            for index, one in enumerate(value):
                yield from _texts(one, f"{path}.{index}", depth - 1)
        case dict():
            for name, one in value.items():
                yield from _texts(one, f"{path}.{name[:64]}", depth - 1)


def _marks(text: str, path: str) -> Iterator[re.Match[str]]:
    for mark in _MARK.finditer(text):
        if not (mark["name"] or mark["literal"]):
            raise InvalidRequest(
                "After `${` the name of a parameter and `}` must follow; write `$${` for `${` "
                "itself.",
                path,
            )
        yield mark


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
