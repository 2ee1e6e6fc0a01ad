"""What ``/docs`` says of saved workflows."""

from __future__ import annotations

from typing import Any

from serve_app.api.documentation import ERROR_RESPONSES, Responses, object_schema, request_body
from serve_app.api.job_fields import JobFields
from serve_app.api.model_fields import described, field_schemas
from serve_app.api.workflow_fields import (
    ParameterFields,
    RunFields,
    VersionFields,
    WorkflowFields,
)
from serve_app.config import LimitsConfig

_NAMED: dict[str, Any] = {
    "name": {"type": "string"},
    "version": {"type": "integer", "description": "Versions count from 1."},
    "created_at": {"type": "string", "format": "date-time"},
    "description": {"type": "string", "nullable": True},
}

_WORKFLOW = {
    "type": "object",
    "properties": _NAMED | {"parameters": {"type": "object"}, "job": {"type": "object"}},
}

_OVERVIEW = {
    "type": "object",
    "properties": _NAMED | {"versions": {"type": "array", "items": {"type": "integer"}}},
}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


SAVED_RESPONSES: Responses = {
    200: _answer("The latest version, which says the same already.", _WORKFLOW),
    201: _answer("The new version.", _WORKFLOW),
    **ERROR_RESPONSES,
}

WORKFLOW_RESPONSES: Responses = {200: _answer("The workflow.", _WORKFLOW), **ERROR_RESPONSES}

LIST_RESPONSES: Responses = {
    200: _answer(
        "The latest version of each workflow, and which there are.",
        {
            "type": "object",
            "properties": {
                "object": {"type": "string"},
                "data": {"type": "array", "items": _OVERVIEW},
            },
        },
    ),
    **ERROR_RESPONSES,
}

_EXAMPLE = {
    "description": "The sign of a shop, then the time of day.",
    "parameters": {
        "image": {"type": "image"},
        "headline": {"type": "string", "default": "OPEN", "max_length": 20},
        "light": {"type": "string", "default": "night", "choices": ["night", "sunset"]},
    },
    "job": {
        "kind": "chain",
        "image": "${image}",
        "steps": [
            {"prompt": "change the sign to '${headline}'", "edit_type": "text"},
            {"prompt": "make it ${light}"},
        ],
    },
}

_RUN_EXAMPLE = {
    "parameters": {"image": f"img-{'0' * 64}", "headline": "CLOSED"},
    "label": "shop-signs",
}


def workflow_body(limits: LimitsConfig) -> dict[str, Any]:
    """The body of ``PUT /v1/workflows/{name}``."""
    fields = field_schemas(WorkflowFields, limits)
    parameter = object_schema(field_schemas(ParameterFields, limits), ["type"])
    fields["parameters"]["additionalProperties"] = parameter
    documented = request_body({"application/json": object_schema(fields, ["job"])})
    return _with_example(documented, _EXAMPLE)


def run_body(limits: LimitsConfig) -> dict[str, Any]:
    """The bodies of ``POST /v1/workflows/{name}/run``."""
    fields = field_schemas(RunFields, limits) | field_schemas(JobFields, limits)
    form = {
        "type": "object",
        "properties": {"run": {"type": "string", "description": "The same, as JSON."}},
        "required": ["run"],
        "additionalProperties": {"type": "string", "format": "binary"},
    }
    documented = request_body(
        {"application/json": object_schema(fields, []), "multipart/form-data": form}
    )
    return _with_example(documented, _RUN_EXAMPLE)


def version_parameter(limits: LimitsConfig) -> dict[str, Any]:
    """The query of ``GET /v1/workflows/{name}``."""
    return {
        "parameters": [
            {
                "name": "version",
                "in": "query",
                "required": False,
                "schema": field_schemas(VersionFields, limits)["version"],
                "description": described(VersionFields, "version", limits),
            }
        ]
    }


def _with_example(documented: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    documented["requestBody"]["content"]["application/json"]["example"] = example
    return documented
