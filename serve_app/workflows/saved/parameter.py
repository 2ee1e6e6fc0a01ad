"""The parameters of a saved workflow: what each may be, and whether a value is that."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from serve_app.errors import InvalidRequest, UnknownField

MAX_TEXT = 10_000
"""Most characters of a string, above the longest prompt that a service takes."""

_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_BOX_EDGES = 4


class ParameterType(StrEnum):
    """What the values of a parameter are."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    IMAGE = "image"  # whatever names an image in a job: an id, a data URL, `@NAME`
    COLOR = "color"  # `#RRGGBB`
    BOX = "box"  # left, top, right, bottom, as `mask_box` has them


_TYPED = {
    ParameterType.STRING: "text",
    ParameterType.NUMBER: "a number",
    ParameterType.INTEGER: "a whole number",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.IMAGE: "the id of a file, a data URL, or `@NAME` for the file part NAME",
    ParameterType.COLOR: "a colour, `#RRGGBB`",
    ParameterType.BOX: "four whole numbers: left, top, right, bottom",
}

_EXAMPLES: dict[ParameterType, Any] = {
    ParameterType.STRING: "example",
    ParameterType.BOOLEAN: True,
    ParameterType.IMAGE: f"img-{'0' * 64}",
    ParameterType.COLOR: "#808080",
    ParameterType.BOX: [0, 0, 16, 16],
}

_NUMERIC = (ParameterType.NUMBER, ParameterType.INTEGER)
_CHOSEN = (*_NUMERIC, ParameterType.STRING, ParameterType.COLOR)
_RULES = {
    "choices": _CHOSEN,
    "max_length": (ParameterType.STRING,),
    "minimum": _NUMERIC,
    "maximum": _NUMERIC,
}
"""Which types have a rule."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; without a ``default`` every run must give it.

    A default may refer to other parameters. ``max_length`` counts characters; ``minimum`` and
    ``maximum`` belong to the range.
    """

    type: ParameterType
    description: str | None = None
    default: Any = None
    choices: tuple[Any, ...] = ()
    max_length: int | None = None
    minimum: float | None = None
    maximum: float | None = None

    @property
    def required(self) -> bool:
        """Whether every run must give it."""
        return self.default is None

    def check_rules(self, path: str) -> None:
        """Raise ``InvalidRequest`` if the rules don't fit the type, or each other."""
        for rule, types in _RULES.items():
            if getattr(self, rule) not in (None, ()) and self.type not in types:
                raise UnknownField(
                    f"A parameter of the type {self.type} has no `{rule}`.", f"{path}.{rule}"
                )
        for rule, bound in (("minimum", self.minimum), ("maximum", self.maximum)):
            if self.type is ParameterType.INTEGER and type(bound) is float:
                raise InvalidRequest(f"`{rule}` must be a whole number.", f"{path}.{rule}")
        if self.minimum is not None and self.maximum is not None and self.maximum < self.minimum:
            raise InvalidRequest("`maximum` must not be below `minimum`.", f"{path}.maximum")
        for index, choice in enumerate(self.choices):
            here = f"{path}.choices.{index}"
            self.check_type(choice, here)
            self._check_range(choice, here)

    def check(self, value: Any, path: str) -> None:
        """Raise ``InvalidRequest`` about ``path`` unless ``value`` is one this parameter takes."""
        self.check_type(value, path)
        self._check_range(value, path)
        if self.choices and value not in self.choices:
            raise InvalidRequest(f"`{_field(path)}` must be one of {_listed(self.choices)}.", path)

    def check_type(self, value: Any, path: str) -> None:
        """Raise ``InvalidRequest`` about ``path`` unless ``value`` is of the type."""
        match self.type:
            case ParameterType.NUMBER:
                fits = type(value) is int or (type(value) is float and math.isfinite(value))
            case ParameterType.INTEGER:
                fits = type(value) is int
            case ParameterType.BOOLEAN:
                fits = type(value) is bool
            case ParameterType.BOX:
                fits = (
                    isinstance(value, list)
                    and len(value) == _BOX_EDGES
                    and all(type(edge) is int for edge in value)
                )
            case _:
                fits = isinstance(value, str)
        if not fits:
            raise self._refused(path)

    def _check_range(self, value: Any, path: str) -> None:
        match self.type:
            case ParameterType.STRING:
                self._check_text(value, path)
            case ParameterType.COLOR if not _COLOR.fullmatch(value):
                raise self._refused(path)
            case ParameterType.IMAGE if not value or not _carried(value):
                raise self._refused(path)
            case ParameterType.NUMBER | ParameterType.INTEGER if not self._within(value):
                raise self._refused(path)

    def _check_text(self, text: str, path: str) -> None:
        most = MAX_TEXT if self.max_length is None else self.max_length
        if len(text) > most:
            raise InvalidRequest(f"`{_field(path)}` must have at most {most} characters.", path)
        if not _carried(text):
            raise InvalidRequest(f"`{_field(path)}` must not contain unpaired surrogates.", path)

    def _within(self, number: float) -> bool:
        least = self.minimum is None or number >= self.minimum
        return least and (self.maximum is None or number <= self.maximum)

    def _refused(self, path: str) -> InvalidRequest:
        bounds = [
            f" {word} {bound}"
            for word, bound in (("from", self.minimum), ("to", self.maximum))
            if bound is not None
        ]
        return InvalidRequest(
            f"`{_field(path)}` must be {_TYPED[self.type]}{''.join(bounds)}.", path
        )

    @property
    def example(self) -> Any:
        """A value that it takes, to check with what it is used for."""
        if self.choices:
            return self.choices[0]
        if self.type in _NUMERIC:
            return self._nearest_to_one()
        example = _EXAMPLES[self.type]
        return example if self.max_length is None else example[: self.max_length]

    def _nearest_to_one(self) -> float:
        """The number of the range that is nearest to 1."""
        number: float = 1
        if self.minimum is not None:
            number = max(number, self.minimum)
        return number if self.maximum is None else min(number, self.maximum)

    def to_json(self) -> dict[str, Any]:
        """As it was declared, without what was not said."""
        said = {
            "type": str(self.type),
            "description": self.description,
            "default": self.default,
            "choices": list(self.choices) or None,
            "max_length": self.max_length,
            "minimum": self.minimum,
            "maximum": self.maximum,
        }
        return {name: value for name, value in said.items() if value is not None}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Parameter:
        """The inverse of ``to_json``, after a way through JSON."""
        choices = tuple(stored.get("choices", ()))
        return cls(**{**stored, "type": ParameterType(stored["type"]), "choices": choices})


def _listed(choices: tuple[Any, ...]) -> str:
    return ", ".join(str(choice) for choice in choices)


def _field(path: str) -> str:
    """The part of ``path`` that is below `parameters`, or below one of them."""
    return path.split(".", 2)[-1]


def _carried(text: str) -> bool:
    """Whether UTF-8 can carry ``text``: halves of characters it can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
