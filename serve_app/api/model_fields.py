"""From named values to a model of fields, and from its complaints to our errors.

A field's description completes the sentence "`field` must be …": it is at once its
documentation and its error message. Names in braces are those of limits.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from serve_app.config import LimitsConfig
from serve_app.errors import InvalidRequest, MissingField, UnknownField

Fields = TypeVar("Fields", bound=BaseModel)


def parse_model(
    model: type[Fields],
    values: Mapping[str, Any],
    limits: LimitsConfig,
    *,
    typed: bool,
    shown: Mapping[str, str] | None = None,
) -> Fields:
    """Validate ``values``, which have JSON's types if ``typed`` and are text otherwise.

    ``shown`` maps fields to the names they have for the caller, where those differ.

    Raises:
        InvalidRequest: About the first field that can't be used.
    """
    refuse_unknown(values, model.model_fields)
    for name, value in values.items():
        if isinstance(value, bytes):
            param = (shown or {}).get(name, name)
            raise InvalidRequest(f"`{param}` must be text, not a file.", param)
    present = {name: value for name, value in values.items() if value is not None}
    validate = model.model_validate if typed else model.model_validate_strings
    try:
        return validate(present, context=limits)
    except ValidationError as error:
        raise _translated(model, error, limits, shown or {}) from None


def refuse_unknown(names: Iterable[str], known: Container[str]) -> None:
    """Raise ``UnknownField`` for the first of ``names`` that is not ``known``.

    Ignoring it would answer something else than was asked.
    """
    for name in names:
        if name not in known:
            raise UnknownField("There is no such field.", name[:64])


@contextmanager
def below(path: str, *, whole: bool = False) -> Iterator[None]:
    """Put ``path`` before the field that is complained about, or in its place if ``whole``."""
    try:
        yield
    except InvalidRequest as error:
        field = "" if whole else error.param or ""
        raise type(error)(error.message, f"{path}{field}") from None


def described(model: type[BaseModel], name: str, limits: LimitsConfig) -> str:
    """What the field ``name`` must be, with the limits filled in."""
    return str(model.model_fields[name].description).format_map(limits.model_dump())


def field_schemas(model: type[BaseModel], limits: LimitsConfig) -> dict[str, Any]:
    """JSON schemas of all fields, for a request body in OpenAPI, which has no definitions."""
    return {
        name: {**field, "description": described(model, name, limits)}
        for name, field in _undescribed(model).items()
    }


@cache
def _undescribed(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="{model}")
    definitions = schema.get("$defs", {})
    return {name: _inlined(field, definitions) for name, field in schema["properties"].items()}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    match schema:
        case {"$ref": name}:
            return _inlined(definitions[name], definitions)
        case dict():
            # Titles repeat the name, and the simple form has other names.
            return {k: _inlined(v, definitions) for k, v in schema.items() if k != "title"}
        case list():
            return [_inlined(value, definitions) for value in schema]
        case _:
            return schema


def _translated(
    model: type[BaseModel],
    error: ValidationError,
    limits: LimitsConfig,
    shown: Mapping[str, str],
) -> InvalidRequest:
    first = error.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0])
    param = shown.get(name, name)
    match first["type"]:
        case "missing":
            return MissingField(f"`{param}` is required.", param)
        case "value_error":
            return InvalidRequest(f"`{param}` {first['ctx']['error']}.", param)
        case _:
            return InvalidRequest(f"`{param}` must be {described(model, name, limits)}.", param)
