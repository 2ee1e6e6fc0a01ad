"""The fields of an edit request, once for every route and both kinds of body.

A field's description completes the sentence "`field` must be …": it is at once its
documentation and its error message. Names in braces are those of limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from serve_app.api.lora import LORA_SCHEMA, parse_lora
from serve_app.api.mask_box import MASK_BOX_SCHEMA, parse_mask_box
from serve_app.api.model_fields import parse_model
from serve_app.api.size import parse_size
from serve_app.api.text import clean_prompt, clean_text
from serve_app.config import LimitsConfig
from serve_app.edits.request import (
    DEFAULT_PRIORITY,
    CachePolicy,
    EditType,
    LoraUse,
    OutputSize,
    Quality,
)
from serve_app.errors import InvalidRequest
from serve_app.images.encoding import OutputFormat
from serve_app.images.masks import Box

MAX_SEED = 2**63 - 1
MAX_USER = 64
"""Characters in the name of a tenant."""

MAX_WORDS = 300
"""Characters of a text that should be read in the result."""

_QUALITIES = {
    **{str(quality): quality for quality in Quality},
    # OpenAI's names.
    "low": Quality.DRAFT,
    "medium": Quality.STANDARD,
    "high": Quality.BEST,
}


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


def _words(text: str) -> str:
    text = clean_prompt(text, MAX_WORDS)
    if "\n" in text or "\t" in text:
        raise ValueError("must be a single line without tabs")
    return text


def _quality(name: Any) -> Quality | None:
    if name == "auto":
        return None
    if isinstance(name, str) and name in _QUALITIES:
        return _QUALITIES[name]
    raise ValueError(f"must be one of auto, {', '.join(_QUALITIES)}")


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
EditTypeField = Annotated[EditType, Field(strict=False)]
Prompt = Annotated[str, AfterValidator(_prompt)]
Words = Annotated[str, AfterValidator(_words)]
_CachePolicy = Annotated[CachePolicy, Field(strict=False)]
_OutputFormat = Annotated[OutputFormat, Field(strict=False)]
_Size = Annotated[OutputSize, PlainValidator(_size), WithJsonSchema({"type": "string"})]
_Quality = Annotated[
    Quality | None,
    PlainValidator(_quality),
    WithJsonSchema({"type": "string", "enum": ["auto", *_QUALITIES]}),
]
_Lora = Annotated[LoraUse | None, PlainValidator(_lora), WithJsonSchema(LORA_SCHEMA)]
MaskBox = Annotated[Box | None, PlainValidator(_mask_box), WithJsonSchema(MASK_BOX_SCHEMA)]


class EditFields(BaseModel):
    """Everything a request may say about an edit, except its images."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    prompt: Prompt = Field(
        description="the instruction: 1 to {prompt_characters} characters of text"
    )
    negative_prompt: Annotated[str, AfterValidator(_negative_prompt)] | None = Field(
        None, description="what to keep out: at most {prompt_characters} characters of text"
    )
    model: str | None = Field(None, description="a name from /v1/models")
    edit_type: EditTypeField | Literal["auto"] = Field(
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
    quality: _Quality = Field(
        None,
        description="one of draft (or low), standard (medium), best (high); `auto` is what the "
        "service is set to",
    )
    expected_text: Words | None = Field(
        None,
        description="the words that should be read in the result: 1 to 300 characters; by "
        "default what the prompt quotes",
    )
    old_text: Words | None = Field(
        None,
        description="the words that should be gone: 1 to 300 characters; by default what the "
        "prompt quotes",
    )
    mask_box: MaskBox = Field(
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
