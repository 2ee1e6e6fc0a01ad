"""What ``/docs`` says of brand sets."""

from __future__ import annotations

from typing import Any

from serve_app.api.brand_fields import (
    MAX_COLOURS,
    NOT_ITS_OWN,
    BrandFields,
    BrandSetFields,
    TargetFields,
    VariationFields,
)
from serve_app.api.documentation import object_schema
from serve_app.api.model_fields import field_schemas
from serve_app.config import LimitsConfig
from serve_app.workflows.jobs.plan import JobKind


def brand_set_schema(
    limits: LimitsConfig, image: dict[str, Any], images: dict[str, Any]
) -> dict[str, Any]:
    """The body of a brand set, with the schemas of an ``image`` and of one or several."""
    brand = object_schema(
        {
            "colors": {
                "type": "array",
                "items": {"type": "string", "description": "Such as #0A84FF or navy."},
                "maxItems": MAX_COLOURS,
            },
            "logo": image,
            "logo_opacity": image
            | {"description": "How opaque the logo is, as grey; by default its own transparency."},
        }
        | field_schemas(BrandFields, limits),
        [],
    )
    target = object_schema(field_schemas(TargetFields, limits), ["name", "width", "height"])
    variation = object_schema(field_schemas(VariationFields, limits), ["prompt"])
    for decided_by_the_target in NOT_ITS_OWN:
        del variation["properties"][decided_by_the_target]
    text = {"type": "string"}
    return object_schema(
        {"kind": {"const": str(JobKind.BRAND_SET)}, "image": images, "brand": brand}
        | field_schemas(BrandSetFields, limits)
        | {
            "variations": {"type": "array", "items": {"oneOf": [text, variation]}},
            "targets": {"type": "array", "items": {"oneOf": [text, target]}},
        },
        ["kind", "image", "variations"],
    )
