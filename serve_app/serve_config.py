"""Reads the YAML files in `configs/`: Serve's part and ours, unknown keys refused in both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

from serve_app.config import ServiceConfig
from serve_app.errors import ConfigurationError


def read(file: Path) -> dict[str, Any]:
    """Read a configuration; raises ``ConfigurationError`` if it is no YAML mapping."""
    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file.name} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file.name} must be a mapping of settings.")
    return content


def check(file: Path) -> list[ServiceConfig]:
    """Check a configuration against Serve's schema and ours; return each application's.

    Serve itself accepts unknown keys silently, so they are looked for here. Raises
    ``ConfigurationError`` or pydantic's ``ValidationError``.
    """
    from ray.serve.schema import ServeDeploySchema  # takes seconds, which ``read`` can do without

    content = read(file)
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
