"""From a request's body to the edits it asks for; the one path for all bodies and routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from serve_app.api.body import Pairs, read_form_or_json, read_multipart, unique
from serve_app.api.context import Context
from serve_app.api.fields import EditFields, parse_fields
from serve_app.api.masks import MASK, MaskSource, parse_mask
from serve_app.api.model_fields import refuse_unknown
from serve_app.api.sources import IMAGE_FIELDS, ImageSources, parse_images
from serve_app.edits.recorded import recorded_request
from serve_app.edits.request import EditRequest
from serve_app.errors import InvalidRequest, ModelNotFound

#: The simple form's names, and the fields they stand for.
SIMPLE_FORM = {
    "file": "image",
    "prompt": "prompt",
    "edit_type": "edit_type",
    "cfg_scale": "true_cfg_scale",
    "steps": "num_inference_steps",
    "seed": "seed",
}


@dataclass(frozen=True, slots=True)
class ParsedEdit:
    """A valid request whose images are not decoded yet."""

    fields: EditFields
    images: ImageSources
    mask: MaskSource | None = None

    async def requests(self, context: Context) -> list[EditRequest]:
        """Decode the images, if the model can do the edit, and spell out the ``n`` edits."""
        fields = self.fields
        model = await context.service.model()
        self.images.check_count(min(context.max_images, model.max_images))
        if fields.lora is not None:
            model.adapter(fields.lora.name)
        images = await self.images.load(context.files, context.decoder)
        mask = None
        if self.mask is not None:
            mask = await self.mask.load(images[0], fields.size, context.files, context.decoder)
        asked = fields.recorded()
        return [
            recorded_request(
                asked
                | {
                    "seed": fields.seed + i if isinstance(fields.seed, int) else fields.seed,
                    "variation": i if fields.seed is None else 0,
                },
                images,
                mask,
            )
            for i in range(fields.n)
        ]


async def parse_edit(request: Request, context: Context) -> ParsedEdit:
    """Read the body of ``POST /v1/images/edits``."""
    pairs, typed = await read_form_or_json(request)
    values, images, param = _split(pairs)
    mask = values.pop(MASK, None)
    fields = parse_fields(values, context.limits, typed=typed)
    if fields.model not in (None, context.model_name):
        raise ModelNotFound("There is no such model; see /v1/models.", "model")
    return ParsedEdit(
        fields,
        parse_images(images, context.max_images, param),
        parse_mask(mask, fields.mask_box),
    )


async def parse_simple_form(request: Request, context: Context) -> ParsedEdit:
    """Read the body of ``POST /edit``: the same fields under simpler names."""
    values = unique(await read_multipart(request))
    refuse_unknown(values, SIMPLE_FORM)
    images = [values.pop("file")] if "file" in values else []
    fields = parse_fields(
        {SIMPLE_FORM[name]: value for name, value in values.items()},
        context.limits,
        typed=False,
        shown={field: name for name, field in SIMPLE_FORM.items()},
    )
    return ParsedEdit(fields, parse_images(images, 1, "file"))


def _split(pairs: Pairs) -> tuple[dict[str, Any], list[Any], str]:
    """Part the images from the other fields; also tell which field they came in."""
    images: list[Any] = []
    param: str | None = None
    others: Pairs = []
    for name, value in pairs:
        if name not in IMAGE_FIELDS:
            others.append((name, value))
            continue
        if value is None:
            continue
        if param not in (None, name):
            raise InvalidRequest(f"Give the images as `{param}` or as `{name}`.", name)
        param = name
        images += value if isinstance(value, list) else [value]
    return unique(others), images, param or "image"
