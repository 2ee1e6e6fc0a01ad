"""What ``/docs`` says of jobs."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from serve_app.api.brand_documentation import brand_set_schema
from serve_app.api.documentation import ERROR_RESPONSES, Responses, object_schema, request_body
from serve_app.api.job_fields import (
    ChainFields,
    EditJobFields,
    ForkFields,
    ItemFields,
    ListFields,
    StepFields,
    VariantFields,
    VariantsFields,
)
from serve_app.api.job_steps import LEAST_VARIANTS
from serve_app.api.model_fields import described, field_schemas
from serve_app.config import LimitsConfig
from serve_app.workflows.jobs.job import JobState
from serve_app.workflows.jobs.plan import JobKind

_IMAGE = {
    "type": "string",
    "description": "An id from /v1/files, a data URL, or `@NAME` for the file part `NAME`.",
}
_IMAGES = {"oneOf": [_IMAGE, {"type": "array", "items": _IMAGE}]}
_MOMENT = {"type": "string", "format": "date-time", "nullable": True}

_STEP_SCHEMA = {
    "type": "object",
    "properties": {
        "index": {"type": "integer"},
        "state": {"type": "string", "enum": list(JobState)},
        "name": {"type": "string", "nullable": True},
        "description": {"type": "string", "nullable": True},
        "result": {
            "type": "string",
            "nullable": True,
            "description": "Names the result in /v1/results.",
        },
        "verdict": {"type": "string", "nullable": True},
        "attempts": {"type": "integer", "nullable": True},
        "seed": {"type": "integer", "nullable": True},
        "seconds": {"type": "number", "nullable": True},
        "started_at": _MOMENT,
        "finished_at": _MOMENT,
        "error": {"type": "object", "nullable": True},
        "drift": {
            "type": "object",
            "description": "Of chains: how far the result has moved away from the first image, in "
            "percent of the diagonal, how sharp it still is (1 is as sharp), and whether it was "
            "laid back.",
        },
        "edited": {
            "type": "string",
            "description": "The result before it was laid back, in /v1/results.",
        },
        "outputs": {
            "type": "array",
            "items": {"type": "object"},
            "description": "Of brand sets: the formats made of the result, in /v1/files.",
        },
    },
}

_OVERVIEW: dict[str, Any] = {
    "id": {"type": "string"},
    "kind": {"type": "string", "enum": list(JobKind)},
    "state": {"type": "string", "enum": [s for s in JobState if s is not JobState.SKIPPED]},
    "label": {"type": "string", "nullable": True},
    "user": {"type": "string", "nullable": True},
    "priority": {"type": "integer"},
    "created_at": _MOMENT,
    "started_at": _MOMENT,
    "finished_at": _MOMENT,
    "deadline_at": _MOMENT,
    "step_count": {"type": "integer"},
    "result": {"type": "string", "nullable": True},
    "error": {"type": "object", "nullable": True},
    "webhook": {"type": "object", "nullable": True},
    "forked_from": {"type": "string", "nullable": True},
    "links": {"type": "object"},
}

_JOB_SCHEMA = {
    "type": "object",
    "properties": _OVERVIEW
    | {
        "steps": {"type": "array", "items": _STEP_SCHEMA},
        "outputs": {
            "type": "object",
            "nullable": True,
            "description": "Where the contact sheet, the manifest and the archive are.",
        },
        "specification": {"type": "object"},
    },
}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


JOB_RESPONSES: Responses = {200: _answer("The job.", _JOB_SCHEMA), **ERROR_RESPONSES}

ACCEPTED_RESPONSES: Responses = {
    202: _answer("The job, which will be run whatever happens to this service.", _JOB_SCHEMA),
    **ERROR_RESPONSES,
}

ARCHIVE_RESPONSES: Responses = {
    200: {
        "description": "The archive.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    },
    **ERROR_RESPONSES,
}

PAGE_RESPONSES: Responses = {
    200: _answer(
        "A page of jobs.",
        {
            "type": "object",
            "properties": {
                "object": {"type": "string"},
                "data": {
                    "type": "array",
                    "items": {"type": "object", "properties": _OVERVIEW},
                },
                "has_more": {"type": "boolean"},
                "next_cursor": {"type": "string", "nullable": True},
            },
        },
    ),
    **ERROR_RESPONSES,
}

EVENT_RESPONSES: Responses = {
    200: {
        "description": "Events until the job has ended. `state`, `step` and `webhook` are kept "
        "and have ids: `Last-Event-ID` goes on after one of them. `waiting`, `progress` and "
        "`preview` are about steps that run just now.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **ERROR_RESPONSES,
}


def job_body(limits: LimitsConfig) -> dict[str, Any]:
    """The bodies of ``POST /v1/jobs``."""
    item = _edit_schema(ItemFields, limits, image=True)
    edit = object_schema(
        {"kind": {"const": str(JobKind.EDIT)}}
        | field_schemas(EditJobFields, limits)
        | item["properties"]
        | {
            "items": {"type": "array", "items": item},
            "matrix": object_schema(
                {
                    "images": {"type": "array", "items": _IMAGE},
                    "prompts": {"type": "array", "items": {"type": "string"}},
                },
                ["images", "prompts"],
            ),
        },
        ["kind"],
    )
    chain = object_schema(
        {"kind": {"const": str(JobKind.CHAIN)}, "image": _IMAGES}
        | field_schemas(ChainFields, limits)
        | {
            "steps": {
                "type": "array",
                "items": _edit_schema(StepFields, limits, image=False),
            }
        },
        ["kind", "image", "steps"],
    )
    variants = object_schema(
        {"kind": {"const": str(JobKind.VARIANTS)}, "image": _IMAGES}
        | field_schemas(VariantsFields, limits)
        | {
            "variants": {
                "type": "object",
                "minProperties": LEAST_VARIANTS,
                "additionalProperties": _edit_schema(VariantFields, limits, image=False),
            }
        },
        ["kind", "image", "variants"],
    )
    specification = {"oneOf": [edit, chain, variants, brand_set_schema(limits, _IMAGE, _IMAGES)]}
    form = {
        "type": "object",
        "properties": {"job": {"type": "string", "description": "The specification, as JSON."}},
        "required": ["job"],
        "additionalProperties": {"type": "string", "format": "binary"},
    }
    documented = request_body({"application/json": specification, "multipart/form-data": form})
    documented["requestBody"]["content"]["application/json"]["examples"] = {
        name: {"value": example} for name, example in _EXAMPLES.items()
    }
    return documented


def fork_body(limits: LimitsConfig) -> dict[str, Any]:
    """The body of ``/fork``."""
    kinds = [
        _edit_schema(StepFields, limits, image=False),
        _edit_schema(ItemFields, limits, image=True),
    ]
    steps = {
        "type": "array",
        "items": {"oneOf": kinds},
        "description": "The later steps, or items, if they change.",
    }
    fields = field_schemas(ForkFields, limits) | {"steps": steps}
    return request_body({"application/json": object_schema(fields, ["from_step"])})


def list_parameters(limits: LimitsConfig) -> dict[str, Any]:
    """The filter of the list."""
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "schema": schema,
                "description": described(ListFields, name, limits),
            }
            for name, schema in field_schemas(ListFields, limits).items()
        ]
    }


def _edit_schema(model: type[BaseModel], limits: LimitsConfig, *, image: bool) -> dict[str, Any]:
    named = {"image": _IMAGES, "mask": _IMAGE} if image else {"mask": _IMAGE}
    # What all items share may be said beside them.
    return object_schema(named | field_schemas(model, limits), [] if image else ["prompt"])


_FILE_ID = f"img-{'0' * 64}"

_EXAMPLES: dict[str, Any] = {
    "one edit": {"kind": "edit", "image": _FILE_ID, "prompt": "make it a watercolor"},
    "many edits": {
        "kind": "edit",
        "matrix": {"images": [_FILE_ID], "prompts": ["make it winter", "make it summer"]},
        "label": "seasons",
        "concurrency": 2,
    },
    "chain": {
        "kind": "chain",
        "image": _FILE_ID,
        "steps": [
            {"description": "the sign", "prompt": 'change the sign to "OPEN"'},
            {"description": "the style", "prompt": "make it a watercolor", "edit_type": "semantic"},
        ],
        "on_failure": "keep_best",
    },
    "variants": {
        "kind": "variants",
        "image": _FILE_ID,
        "variants": {
            "calm": {"prompt": "make it a watercolor", "hypothesis": "calm pictures sell tea"},
            "loud": {"prompt": "make it a comic"},
        },
        "success_metric": "clicks",
    },
    "brand set": {
        "kind": "brand_set",
        "image": _FILE_ID,
        "brand": {"colors": ["#0A84FF", "#FFFFFF"], "style": "clean and bright"},
        "variations": [{"name": "summer", "prompt": "make it summer", "caption": "Summer sale"}],
        "targets": ["instagram_story", {"name": "banner", "width": 970, "height": 250}],
    },
}
