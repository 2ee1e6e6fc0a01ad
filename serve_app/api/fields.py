"""The fields of an edit request, once for every route and both kinds of body.

A field's description completes the sentence "`field` must be …": it is at once its
documentation and its error message. Names in braces are those of limits.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)

from serve_app.api.lora import LORA_SCHEMA, parse_lora
from serve_app.api.mask_box import MASK_BOX_SCHEMA, parse_mask_box
from serve_app.api.size import parse_size
from serve_app.api.text import clean_prompt, clean_text
from serve_app.config import LimitsConfig
from serve_app.edits.request import (
    DEFAULT_PRIORITY,
    CachePolicy,
    EditType,
    LoraUse,
    OutputSize,
)
from serve_app.errors import InvalidRequest, MissingField, UnknownField
from serve_app.images.encoding import OutputFormat
from serve_app.images.masks import Box

MAX_SEED = 2**63 - 1
MAX_USER = 64
"""Characters in the name of a tenant."""


def _limits(info: ValidationInfo) -> LimitsConfig:
    return cast(LimitsConfig, info.context)


def _prompt(text: str, info: ValidationInfo) -> str:
    return clean_prompt(text, _limits(info).prompt_characters)


def _negative_prompt(text: str, info: ValidationInfo) -> str:
    # The models know "nothing to avoid" as one blank.
    return clean_text(text, _limits(info).prompt_characters) or " "


def _size(text: Any, info: ValidationInfo) -> OutputSize:
    return parse_size(text if isinstance(text, str) else "", _limits(info))


def _user(text: str) -> str:
    text = clean_prompt(text, MAX_USER)
    if "\n" in text or "\t" in text:
        raise ValueError("must be a single line without tabs")
    return text


def _deadline(value: float, info: ValidationInfo) -> float:
    limit_s = _limits(info).request_s
    if value > limit_s:
        raise ValueError(f"must be a number of seconds above 0, at most {limit_s:g}")
    return value


def _lora(value: Any, info: ValidationInfo) -> LoraUse:
    return parse_lora(value, typed=info.mode == "python")


def _mask_box(value: Any, info: ValidationInfo) -> Box:
    return parse_mask_box(value, typed=info.mode == "python")


def _n(value: int, info: ValidationInfo) -> int:
    return _at_most(_limits(info).max_n, value)


def _steps(value: int, info: ValidationInfo) -> int:
    return _at_most(_limits(info).max_steps, value)


def _priority(value: int, info: ValidationInfo) -> int:
    return _at_most(_limits(info).max_priority, value, least=0)


def _at_most(limit: int, value: int, least: int = 1) -> int:
    if value > limit:
        raise ValueError(f"must be a whole number from {least} to {limit}")
    return value


# Model-wide strictness keeps 1.5, "1" and true from becoming numbers in JSON; names of
# choices are strings there too, and strictness would ask for the enum's own members.
_EditType = Annotated[EditType, Field(strict=False)]
_CachePolicy = Annotated[CachePolicy, Field(strict=False)]
_OutputFormat = Annotated[OutputFormat, Field(strict=False)]
_Size = Annotated[OutputSize, PlainValidator(_size), WithJsonSchema({"type": "string"})]
_Lora = Annotated[LoraUse | None, PlainValidator(_lora), WithJsonSchema(LORA_SCHEMA)]
_MaskBox = Annotated[Box | None, PlainValidator(_mask_box), WithJsonSchema(MASK_BOX_SCHEMA)]


class EditFields(BaseModel):
    """Everything a request may say about an edit, except its images."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    prompt: Annotated[str, AfterValidator(_prompt)] = Field(
        description="the instruction: 1 to {prompt_characters} characters of text"
    )
    negative_prompt: Annotated[str, AfterValidator(_negative_prompt)] | None = Field(
        None, description="what to keep out: at most {prompt_characters} characters of text"
    )
    model: str | None = Field(None, description="a name from /v1/models")
    edit_type: _EditType | Literal["auto"] = Field(
        "auto", description="one of auto, semantic, appearance, text, hybrid"
    )
    n: Annotated[int, Field(ge=1), AfterValidator(_n)] = Field(
        1, description="a whole number from 1 to {max_n}"
    )
    size: _Size = Field(
        "auto",
        description="`auto` (the input's own), `native` (the model's canvas) or WIDTHxHEIGHT",
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | Literal["random"] | None = Field(
        None, description="a whole number from 0 to 2^63-1, or `random`"
    )
    true_cfg_scale: float | None = Field(None, ge=1, le=20, description="a number from 1 to 20")
    num_inference_steps: Annotated[int, Field(ge=1), AfterValidator(_steps)] | None = Field(
        None, description="a whole number from 1 to {max_steps}"
    )
    max_attempts: int | None = Field(None, ge=1, le=4, description="a whole number from 1 to 4")
    mask_box: _MaskBox = Field(
        None,
        description="four whole numbers: left, top, right, bottom of what may change, in pixels "
        "of the first image, right and bottom not included",
    )
    lora: _Lora = Field(
        None,
        description="an object with the `name` of an adapter from /v1/models and, if you like, "
        "a `scale` from -4 to 4 (1 by default)",
    )
    priority: Annotated[int, Field(ge=0), AfterValidator(_priority)] = Field(
        DEFAULT_PRIORITY,
        description="a whole number from 0 (after everybody) to {max_priority} (before everybody)",
    )
    deadline_s: Annotated[float, Field(gt=0), AfterValidator(_deadline)] | None = Field(
        None, description="a number of seconds above 0, at most {request_s:g}"
    )
    user: Annotated[str, AfterValidator(_user)] | None = Field(
        None, description="1 to 64 characters of text that name who shares the device"
    )
    cache: _CachePolicy = Field(CachePolicy.USE, description="one of use, refresh, off")
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
    """Validate ``values``, which have JSON's types if ``typed`` and are text otherwise.

    ``shown`` maps fields to the names they have for the caller, where those differ.

    Raises:
        InvalidRequest: About the first field that can't be used.
    """
    refuse_unknown(values, EditFields.model_fields)
    for name, value in values.items():
        if isinstance(value, bytes):
            param = (shown or {}).get(name, name)
            raise InvalidRequest(f"`{param}` must be text, not a file.", param)
    present = {name: value for name, value in values.items() if value is not None}
    validate = EditFields.model_validate if typed else EditFields.model_validate_strings
    try:
        fields = validate(present, context=limits)
    except ValidationError as error:
        raise _translated(error, limits, shown or {}) from None
    _check_together(fields)
    return fields


def refuse_unknown(names: Iterable[str], known: Container[str]) -> None:
    """Raise ``UnknownField`` for the first of ``names`` that is not ``known``.

    Ignoring it would answer something else than was asked.
    """
    for name in names:
        if name not in known:
            raise UnknownField("There is no such field.", name[:64])


def described(name: str, limits: LimitsConfig) -> str:
    """What the field ``name`` must be, with the limits filled in."""
    return str(EditFields.model_fields[name].description).format_map(limits.model_dump())


def _translated(
    error: ValidationError, limits: LimitsConfig, shown: Mapping[str, str]
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
            return InvalidRequest(f"`{param}` must be {described(name, limits)}.", param)


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
