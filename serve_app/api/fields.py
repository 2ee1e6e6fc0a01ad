"""The fields of an edit request, once for every route and both kinds of body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from serve_app.api.edit_parameters import (
    MAX_SEED,
    PRIORITY,
    USER,
    EditParameters,
    Priority,
    User,
    at_most,
    limits_of,
)
from serve_app.api.model_fields import parse_model
from serve_app.config import LimitsConfig
from serve_app.edits.request import DEFAULT_PRIORITY
from serve_app.errors import InvalidRequest
from serve_app.images.encoding import OutputFormat


def _n(value: int, info: ValidationInfo) -> int:
    return at_most(limits_of(info).max_n, value)


def _deadline(value: float, info: ValidationInfo) -> float:
    limit_s = limits_of(info).request_s
    if value > limit_s:
        raise ValueError(f"must be a number of seconds above 0, at most {limit_s:g}")
    return value


# As in ``EditParameters``: strictness would ask for the enum's own members.
_OutputFormat = Annotated[OutputFormat, Field(strict=False)]


class EditFields(EditParameters):
    """Everything a request may say about an edit, except its images."""

    model: str | None = Field(None, description="a name from /v1/models")
    n: Annotated[int, Field(ge=1), AfterValidator(_n)] = Field(
        1, description="a whole number from 1 to {max_n}"
    )
    priority: Priority = Field(DEFAULT_PRIORITY, description=PRIORITY)
    deadline_s: Annotated[float, Field(gt=0), AfterValidator(_deadline)] | None = Field(
        None, description="a number of seconds above 0, at most {request_s:g}"
    )
    user: User | None = Field(None, description=USER)
    response_format: Literal["b64_json", "url"] = Field(
        "b64_json", description="one of b64_json, url"
    )
    output_format: _OutputFormat = Field(OutputFormat.PNG, description="one of png, jpeg, webp")
    output_compression: int | None = Field(
        None, ge=0, le=100, description="a whole number from 0 to 100"
    )
    stream: bool = Field(False, description="true or false")
    partial_images: int | None = Field(None, ge=0, le=3, description="a whole number from 0 to 3")


def parse_fields(
    values: Mapping[str, Any],
    limits: LimitsConfig,
    *,
    typed: bool,
    shown: Mapping[str, str] | None = None,
) -> EditFields:
    """Validate the ``values`` of an edit as ``model_fields.parse_model`` does, and together."""
    fields = parse_model(EditFields, values, limits, typed=typed, shown=shown)
    _check_together(fields)
    return fields


def _check_together(fields: EditFields) -> None:
    """Refuse fields that contradict each other, rather than ignore one of them."""
    if fields.partial_images is not None and not fields.stream:
        raise InvalidRequest("`partial_images` needs `stream`.", "partial_images")
    if fields.stream and fields.n > 1:
        raise InvalidRequest("A stream carries one edit: `n` must be 1.", "n")
    if fields.stream and fields.response_format == "url":
        raise InvalidRequest("A stream carries images: ask for b64_json.", "response_format")
    png = fields.output_format is OutputFormat.PNG
    if png and fields.output_compression not in (None, 100):
        raise InvalidRequest("PNG is lossless: ask for jpeg or webp.", "output_compression")
    if not png and fields.response_format == "url":
        raise InvalidRequest("Stored results are PNG: ask for b64_json.", "output_format")
    if isinstance(fields.seed, int) and fields.seed + fields.n - 1 > MAX_SEED:
        raise InvalidRequest("`seed` + `n` - 1 must be at most 2^63-1.", "seed")
