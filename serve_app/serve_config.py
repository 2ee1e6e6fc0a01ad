"""Reads the YAML files in `configs/`: Serve's part and ours, unknown keys refused in both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from serve_app.config import ServiceConfig
from serve_app.errors import ConfigurationError


def read(file: Path) -> dict[str, Any]:
    """Read a configuration; raises ``ConfigurationError`` if it is no YAML mapping."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not there, or can't be read as text.") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file.name} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file.name} must be a mapping of settings.")
    return content


def service_settings(file: Path) -> ServiceConfig:
    """The service's own settings: a file of them alone, or a Serve configuration's first ones.

    Raises ``ConfigurationError``.
    """
    content = read(file)
    if _is_serves(content):
        match content:
            case {"applications": [{"args": dict() as content}, *_]}:
                pass
            case _:
                raise ConfigurationError(f"{file} has no application with `args`.")
    try:
        return ServiceConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(f"{file} can't be used: {error}") from error


def _is_serves(content: Mapping[str, Any]) -> bool:
    return "applications" in content


def check(file: Path) -> list[ServiceConfig]:
    """Check a configuration against Serve's schema and ours; return each application's.

    One that has the service's settings alone, as for bulk runs, is checked against ours.

    Serve itself accepts unknown keys silently, so they are looked for here. Raises
    ``ConfigurationError`` or pydantic's ``ValidationError``.
    """
    content = read(file)
    if not _is_serves(content):
        return [service_settings(file)]
    from ray.serve.schema import ServeDeploySchema  # takes seconds, which ``read`` can do without

    if unknown := list(_unknown_keys(content, ServeDeploySchema, "")):
        raise ConfigurationError(f"{file.name} has keys that Serve doesn't know: {unknown}.")
    schema = ServeDeploySchema.model_validate(content)
    configs = [ServiceConfig.model_validate(each.args) for each in schema.applications]
    limit_s = schema.http_options.request_timeout_s
    for config in configs:
        if limit_s is not None and config.limits.request_s >= limit_s:
            raise ConfigurationError(
                f"{file.name}: `limits.request_s` ({config.limits.request_s:g}) must be below "
                f"`http_options.request_timeout_s` ({limit_s:g}), or Serve cuts requests off first."
            )
    return configs


def _unknown_keys(value: Any, schema: Any, path: str) -> Iterator[str]:
    """Walk ``value`` along the schema's annotations and name every key it doesn't have."""
    model = next((s for s in _alternatives(schema) if _is_model(s)), None)
    if model is not None and isinstance(value, Mapping):
        fields = model.model_fields
        for key, inner in value.items():
            if key not in fields:
                yield f"{path}{key}"
            else:
                yield from _unknown_keys(inner, fields[key].annotation, f"{path}{key}.")
    elif isinstance(value, list):
        items = [s for s in _alternatives(schema) if get_origin(s) is list]
        for index, inner in enumerate(value):
            for item in items:
                yield from _unknown_keys(inner, get_args(item)[0], f"{path}{index}.")


def _alternatives(schema: Any) -> tuple[Any, ...]:
    return get_args(schema) if get_origin(schema) in (Union, UnionType) else (schema,)


def _is_model(schema: Any) -> bool:
    return isinstance(schema, type) and issubclass(schema, BaseModel)
