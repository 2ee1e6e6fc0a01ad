"""What may be said of an edit, whoever asks for it: the fields of requests and of jobs' steps.

A field's description completes the sentence "`field` must be …": it is at once its
documentation and its error message. Names in braces are those of limits.
"""

from __future__ import annotations

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
from serve_app.api.size import parse_size
from serve_app.api.text import clean_prompt, clean_text
from serve_app.config import LimitsConfig
from serve_app.edits.request import (
    CachePolicy,
    EditType,
    LoraUse,
    OutputSize,
    Quality,
)
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


def limits_of(info: ValidationInfo) -> LimitsConfig:
    """The limits that a model is validated with."""
    return cast(LimitsConfig, info.context)


def _prompt(text: str, info: ValidationInfo) -> str:
    return clean_prompt(text, limits_of(info).prompt_characters)


def _negative_prompt(text: str, info: ValidationInfo) -> str:
    # The models know "nothing to avoid" as one blank.
    return clean_text(text, limits_of(info).prompt_characters) or " "


def _size(text: Any, info: ValidationInfo) -> OutputSize:
    return parse_size(text if isinstance(text, str) else "", limits_of(info))


def single_line(text: str, max_characters: int) -> str:
    """``clean_prompt`` that is one line; raises ``ValueError`` with what it must be."""
    text = clean_prompt(text, max_characters)
    if "\n" in text or "\t" in text:
        raise ValueError("must be a single line without tabs")
    return text


def _user(text: str) -> str:
    return single_line(text, MAX_USER)


def _words(text: str) -> str:
    return single_line(text, MAX_WORDS)


def _quality(name: Any) -> Quality | None:
    if name == "auto":
        return None
    if isinstance(name, str) and name in _QUALITIES:
        return _QUALITIES[name]
    raise ValueError(f"must be one of auto, {', '.join(_QUALITIES)}")


def _lora(value: Any, info: ValidationInfo) -> LoraUse:
    return parse_lora(value, typed=info.mode == "python")


def _mask_box(value: Any, info: ValidationInfo) -> Box:
    return parse_mask_box(value, typed=info.mode == "python")


def _steps(value: int, info: ValidationInfo) -> int:
    return at_most(limits_of(info).max_steps, value)


def _priority(value: int, info: ValidationInfo) -> int:
    return at_most(limits_of(info).max_priority, value, least=0)


def at_most(limit: int, value: int, least: int = 1) -> int:
    """``value``, unless it is above ``limit``: then ``ValueError`` with what it must be."""
    if value > limit:
        raise ValueError(f"must be a whole number from {least} to {limit}")
    return value


# Model-wide strictness keeps 1.5, "1" and true from becoming numbers in JSON; names of
# choices are strings there too, and strictness would ask for the enum's own members.
EditTypeField = Annotated[EditType, Field(strict=False)]
Prompt = Annotated[str, AfterValidator(_prompt)]
Words = Annotated[str, AfterValidator(_words)]
User = Annotated[str, AfterValidator(_user)]
Priority = Annotated[int, Field(ge=0), AfterValidator(_priority)]
_CachePolicy = Annotated[CachePolicy, Field(strict=False)]
_Size = Annotated[OutputSize, PlainValidator(_size), WithJsonSchema({"type": "string"})]
_Quality = Annotated[
    Quality | None,
    PlainValidator(_quality),
    WithJsonSchema({"type": "string", "enum": ["auto", *_QUALITIES]}),
]
_Lora = Annotated[LoraUse | None, PlainValidator(_lora), WithJsonSchema(LORA_SCHEMA)]
MaskBox = Annotated[Box | None, PlainValidator(_mask_box), WithJsonSchema(MASK_BOX_SCHEMA)]


PRIORITY = "a whole number from 0 (after everybody) to {max_priority} (before everybody)"
USER = "1 to 64 characters of text that name who shares the device"


class EditParameters(BaseModel):
    """Everything that decides an edit, except its images."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    prompt: Prompt = Field(
        description="the instruction: 1 to {prompt_characters} characters of text"
    )
    negative_prompt: Annotated[str, AfterValidator(_negative_prompt)] | None = Field(
        None, description="what to keep out: at most {prompt_characters} characters of text"
    )
    edit_type: EditTypeField | Literal["auto"] = Field(
        "auto", description="one of auto, semantic, appearance, text, hybrid"
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
    cache: _CachePolicy = Field(CachePolicy.USE, description="one of use, refresh, off")

    def recorded(self) -> dict[str, Any]:
        """What was given, as JSON that ``edits.recorded.recorded_request`` reads."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: _recorded(value) for name, value in given.items() if value is not None}


def _recorded(value: Any) -> Any:
    match value:
        case LoraUse():
            return {"name": value.name, "scale": value.scale}
        case Box():
            return list(value)
        case bool() | int() | float():
            return value
        case _:
            return str(value)
