"""The fields of ``POST /v1/plan``; those of ``brand`` and ``targets`` are a brand set's own."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from serve_app.api.edit_parameters import Prompt
from serve_app.images.pixels import CONTENT_ID
from serve_app.workflows.assistant.proposal import IMAGE, PlanKind

_PART = re.compile(r"@[^\s@]{1,64}")


def _image(text: str) -> str:
    if CONTENT_ID.fullmatch(text) or _PART.fullmatch(text):
        return text
    raise ValueError("must be an id from /v1/files, or `@NAME` for a file that the job comes with")


class PlanFields(BaseModel):
    """What a brief comes with, its brand and targets aside."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    brief: Prompt = Field(
        description="what is wanted, in plain words: 1 to {prompt_characters} characters of text, "
        "in English, Chinese or Korean"
    )
    image: Annotated[str, AfterValidator(_image)] = Field(
        IMAGE,
        description="an id from /v1/files, or `@NAME` for a file that the job comes with",
    )
    kind: Annotated[PlanKind, Field(strict=False)] | Literal["auto"] = Field(
        "auto", description=f"one of auto, {', '.join(PlanKind)}"
    )
