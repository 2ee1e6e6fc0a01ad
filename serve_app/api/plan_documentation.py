"""What ``/docs`` says of the content assistant."""

from __future__ import annotations

from typing import Any

from serve_app.api.brand_fields import BrandFields, TargetFields
from serve_app.api.documentation import ERROR_RESPONSES, Responses, object_schema, request_body
from serve_app.api.model_fields import field_schemas
from serve_app.api.plan_fields import PlanFields
from serve_app.config import LimitsConfig
from serve_app.workflows.assistant.proposal import PlanKind

_SENTENCES = {"type": "array", "items": {"type": "string"}}

PLAN_RESPONSES: Responses = {
    200: {
        "description": "A job to read, change and submit. Nothing has been run.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["kind", "specification", "reasons", "by", "questions"],
                    "properties": {
                        "kind": {"type": "string", "enum": list(PlanKind)},
                        "specification": {
                            "type": "object",
                            "description": "A body for `POST /v1/jobs`.",
                        },
                        "reasons": {
                            **_SENTENCES,
                            "description": "What was decided and guessed, a sentence each.",
                        },
                        "by": {
                            "type": "string",
                            "enum": ["rules", "model"],
                            "description": "Who found the kind and the instructions.",
                        },
                        "questions": {
                            **_SENTENCES,
                            "description": "What is for you to decide or to check.",
                        },
                    },
                }
            }
        },
    },
    **ERROR_RESPONSES,
}


def plan_body(limits: LimitsConfig) -> dict[str, Any]:
    """The body of ``POST /v1/plan``."""
    brand = object_schema(
        {
            "colors": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Colours such as #0A84FF or navy.",
            },
            "logo": {"type": "string", "description": "An id from /v1/files, or `@NAME`."},
        }
        | field_schemas(BrandFields, limits),
        [],
    )
    target = object_schema(field_schemas(TargetFields, limits), ["name", "width", "height"])
    fields = field_schemas(PlanFields, limits) | {
        "brand": brand,
        "targets": {"type": "array", "items": {"oneOf": [{"type": "string"}, target]}},
    }
    documented = request_body({"application/json": object_schema(fields, ["brief"])})
    documented["requestBody"]["content"]["application/json"]["examples"] = {
        name: {"value": example} for name, example in _EXAMPLES.items()
    }
    return documented


_EXAMPLES: dict[str, Any] = {
    "chain": {
        "brief": 'Remove the people, then write "OPEN" above the door.',
        "image": f"img-{'0' * 64}",
    },
    "variants": {"brief": "A/B test a red vs a blue button, for more clicks."},
    "brand set": {
        "brief": "Spring, summer and winter versions for Instagram and our blog header.",
        "brand": {"colors": ["#0A84FF", "white"], "style": "calm, minimalist"},
    },
}
