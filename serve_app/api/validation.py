"""From a request's body to the case that ``POST /v1/validate`` judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from serve_app.api.body import read_form_or_json, unique
from serve_app.api.context import Context
from serve_app.api.edit_parameters import EditTypeField, MaskBox, Prompt, Words
from serve_app.api.masks import MASK, MaskSource, parse_mask
from serve_app.api.model_fields import parse_model
from serve_app.api.sources import ImageSources, parse_images
from serve_app.edits.classification import classify
from serve_app.edits.request import EditType
from serve_app.edits.text_targets import wanted_text
from serve_app.quality.case import Case

ORIGINAL = "original"
EDITED = "edited"


class ValidationFields(BaseModel):
    """Everything a request may say about an edit to judge, except its images."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    edit_type: EditTypeField | Literal["auto"] = Field(
        "auto",
        description="one of auto (by the prompt; hybrid without one), semantic, appearance, text, "
        "hybrid",
    )
    prompt: Prompt | None = Field(
        None, description="the instruction: 1 to {prompt_characters} characters of text"
    )
    expected_text: Words | None = Field(
        None,
        description="the words that should be read in the edited image: 1 to 300 characters; by "
        "default what the prompt quotes",
    )
    old_text: Words | None = Field(
        None,
        description="the words that should be gone: 1 to 300 characters; by default what the "
        "prompt quotes",
    )
    mask_box: MaskBox = Field(
        None,
        description="four whole numbers: left, top, right, bottom of what was to change, in "
        "pixels of the original, right and bottom not included",
    )
    picture: bool = Field(False, description="true or false")


@dataclass(frozen=True, slots=True)
class ParsedValidation:
    """A valid request whose images are not decoded yet."""

    fields: ValidationFields
    original: ImageSources
    edited: ImageSources
    mask: MaskSource | None

    async def case(self, context: Context) -> Case:
        """Decode the images and spell out what is to be judged."""
        (original,) = await self.original.load(context.files, context.decoder)
        (edited,) = await self.edited.load(context.files, context.decoder)
        mask = None
        if self.mask is not None:
            mask = await self.mask.load(original, "auto", context.files, context.decoder)
        prompt = self.fields.prompt or ""
        return Case(
            original.pixels,
            edited.pixels,
            self._edit_type(prompt),
            mask=None if mask is None else mask.editable,
            prompt=prompt,
            text=wanted_text(prompt, self.fields.expected_text, self.fields.old_text),
        )

    def _edit_type(self, prompt: str) -> EditType:
        if self.fields.edit_type != "auto":
            return self.fields.edit_type
        return classify(prompt).edit_type


async def parse_validation(request: Request, context: Context) -> ParsedValidation:
    """Read the body of ``POST /v1/validate``, form or JSON."""
    pairs, typed = await read_form_or_json(request)
    values = unique(pairs)
    given = {name: values.pop(name, None) for name in (ORIGINAL, EDITED)}
    images = {
        name: parse_images([] if value is None else [value], 1, name)
        for name, value in given.items()
    }
    mask = values.pop(MASK, None)
    fields = parse_model(ValidationFields, values, context.limits, typed=typed)
    return ParsedValidation(
        fields, images[ORIGINAL], images[EDITED], parse_mask(mask, fields.mask_box)
    )
