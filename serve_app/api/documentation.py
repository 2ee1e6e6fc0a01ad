"""What ``/docs`` says of bodies and answers that FastAPI can't see in the signatures."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from serve_app.api.fields import EditFields
from serve_app.api.masks import MASK
from serve_app.api.model_fields import field_schemas
from serve_app.api.parsing import SIMPLE_FORM
from serve_app.api.validation import EDITED, ORIGINAL, ValidationFields
from serve_app.config import LimitsConfig


class ErrorDetail(BaseModel):
    """What went wrong, and in which field."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    """The body of every error."""

    error: ErrorDetail
    request_id: str


Responses = dict[int | str, dict[str, Any]]

_FACTS: dict[str, Any] = {
    "id": {"type": "string", "description": "Names the result in /v1/results."},
    "seed": {"type": "integer"},
    "verdict": {"type": "string", "enum": ["pass", "pass_unverified", "fail"]},
    "attempts": {"type": "integer"},
    "cache": {"type": "string", "enum": ["miss", "hit", "joined", "off"]},
}

_FACT_HEADERS = {
    f"x-edit-{name}": {"schema": schema, "required": False} for name, schema in _FACTS.items()
}

_EDITS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["created", "data"],
    "properties": {
        "created": {"type": "integer", "description": "Seconds since 1970."},
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "b64_json": {"type": "string"},
                    "url": {"type": "string"},
                    **_FACTS,
                },
            },
        },
        "output_format": {"type": "string"},
        "size": {"type": "string", "description": "WIDTHxHEIGHT of the result."},
    },
}

ERROR_RESPONSES: Responses = {"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}}

EDIT_RESPONSES: Responses = {
    200: {
        "description": "The edited images; with `stream`, events that end with "
        "`image_edit.completed` or `error`.",
        "headers": _FACT_HEADERS,
        "content": {
            "application/json": {"schema": _EDITS_SCHEMA},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    },
    **ERROR_RESPONSES,
}

REPORT_RESPONSES: Responses = {
    200: {
        "description": "The report; with `picture`, the annotated picture beside it.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["verdict", "coverage", "reasons", "checks"],
                    "properties": {
                        "verdict": _FACTS["verdict"],
                        "coverage": {"type": "number", "minimum": 0, "maximum": 1},
                        "reasons": {"type": "array", "items": {"type": "string"}},
                        "checks": {"type": "array", "items": {"type": "object"}},
                        "edit_type": {"type": "string"},
                        "picture": {
                            "type": "object",
                            "properties": {"b64_json": {"type": "string"}},
                        },
                    },
                }
            }
        },
    },
    **ERROR_RESPONSES,
}

IMAGE_RESPONSES: Responses = {
    200: {
        "description": "The image.",
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    },
    **ERROR_RESPONSES,
}

_FILE = {"type": "string", "format": "binary"}

_IMAGE_REFERENCE = {
    "oneOf": [
        {"type": "string", "description": "An id from /v1/files, or a data URL."},
        {"type": "object", "properties": {"file_id": {"type": "string"}}},
        {"type": "object", "properties": {"image_url": {"type": "string"}}},
    ]
}

_HOLES = (
    "transparent is editable, or white in a file without transparency. Files stored by /v1/files "
    "have lost their transparency, so that white is what they mean."
)

_MASK = {
    "description": f"where the first image may change, at its own size: {_HOLES} Needs `size` to "
    "be the image's own."
}

_JUDGED_MASK = {
    "description": f"where the original was to change, at its own size: {_HOLES}",
}

#: How a form writes what is no plain value.
_AS_TEXT: dict[str, dict[str, Any]] = {
    "mask_box": {"type": "string", "example": "10,20,110,90"},
    "lora": {"type": "string", "example": '{"name": "watercolor", "scale": 0.8}'},
}

_EXAMPLES: dict[str, Any] = {
    "plain": {"image": f"img-{'0' * 64}", "prompt": "make it a watercolor"},
    "masked": {
        "image": f"img-{'0' * 64}",
        "prompt": "put a red balloon into the sky",
        "mask_box": [10, 20, 110, 90],
    },
    "with an adapter, soon": {
        "image": f"img-{'0' * 64}",
        "prompt": "make it a watercolor",
        "lora": {"name": "watercolor", "scale": 0.8},
        "priority": 7,
        "deadline_s": 60,
        "user": "studio-4",
    },
}


def edit_body(limits: LimitsConfig, max_images: int) -> dict[str, Any]:
    """The bodies of ``POST /v1/images/edits``."""
    fields = field_schemas(EditFields, limits)

    def body(image: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        images = {"type": "array", "items": image, "minItems": 1, "maxItems": max_images}
        named = {"image": {"oneOf": [image, images]}, MASK: image | _MASK}
        return object_schema(named | fields, ["image", "prompt"])

    as_text = {
        name: text | {"description": fields[name]["description"]} for name, text in _AS_TEXT.items()
    }
    documented = request_body(
        {
            "multipart/form-data": body(_FILE, fields | as_text),
            "application/json": body(_IMAGE_REFERENCE, fields),
        }
    )
    documented["requestBody"]["content"]["application/json"]["examples"] = {
        name: {"value": example} for name, example in _EXAMPLES.items()
    }
    return documented


def validation_body(limits: LimitsConfig) -> dict[str, Any]:
    """The bodies of ``POST /v1/validate``."""
    fields = field_schemas(ValidationFields, limits)

    def body(image: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        named = {ORIGINAL: image, EDITED: image, MASK: image | _JUDGED_MASK}
        return object_schema(named | fields, [ORIGINAL, EDITED])

    box = _AS_TEXT["mask_box"] | {"description": fields["mask_box"]["description"]}
    return request_body(
        {
            "multipart/form-data": body(_FILE, fields | {"mask_box": box}),
            "application/json": body(_IMAGE_REFERENCE, fields),
        }
    )


def simple_form_body(limits: LimitsConfig) -> dict[str, Any]:
    """The body of ``POST /edit``."""
    fields = field_schemas(EditFields, limits) | {"image": _FILE}
    form = {name: fields[field] for name, field in SIMPLE_FORM.items()}
    return request_body({"multipart/form-data": object_schema(form, ["file", "prompt"])})


def file_body() -> dict[str, Any]:
    """The body of ``POST /v1/files``."""
    return request_body({"multipart/form-data": object_schema({"file": _FILE}, ["file"])})


def object_schema(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """An object that has these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def request_body(schemas: dict[str, Any]) -> dict[str, Any]:
    """A body that is there, in one of these media types."""
    content = {media_type: {"schema": schema} for media_type, schema in schemas.items()}
    return {"requestBody": {"required": True, "content": content}}
