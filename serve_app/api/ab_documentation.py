"""What ``/docs`` says of A/B tests."""

from __future__ import annotations

from typing import Any

from serve_app.api.ab_fields import MAX_VARIANTS, MAX_WEIGHT, AbTestFields, CountFields
from serve_app.api.ab_parsing import ALLOCATION, VARIANTS
from serve_app.api.documentation import ERROR_RESPONSES, Responses, object_schema, request_body
from serve_app.api.model_fields import field_schemas
from serve_app.api.names import NAME_PATTERN
from serve_app.config import LimitsConfig
from serve_app.workflows.ab_tests.ab_test import Metric, Unit
from serve_app.workflows.ab_tests.verdict import Verdict

_NUMBER = {"type": "number"}
_INTERVAL = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
_STRINGS = {"type": "array", "items": {"type": "string"}}


def _of_each(schema: dict[str, Any], description: str = "By variant.") -> dict[str, Any]:
    return {"type": "object", "additionalProperties": schema, "description": description}


_COMPARISON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "variant": {"type": "string"},
        "control": {"type": "string"},
        "difference": {"type": "number", "description": "Of the rates, variant minus control."},
        "interval": _INTERVAL | {"description": "Newcombe's, of this comparison alone."},
        "lift": {
            "type": "number",
            "nullable": True,
            "description": "The difference relative to the control's rate.",
        },
        "p": {"type": "number", "description": "Two-sided, of the two proportions."},
        "p_corrected": {"type": "number", "description": "By Holm, for all comparisons."},
        "significant": {"type": "boolean"},
    },
}

_ANALYSIS: dict[str, Any] = {
    "type": "object",
    "required": [
        *("verdict", "winner", "comparisons", "p_best", "expected_loss"),
        *("needed_per_variant", "recommendation"),
    ],
    "properties": {
        "verdict": {
            "type": "string",
            "enum": list(Verdict),
            "description": "`leading`: one variant is probably the best, or some differ from the "
            "control, but none can be chosen. `no_difference_detected`: no comparison is "
            "significant.",
        },
        "winner": {
            "type": "string",
            "nullable": True,
            "description": "Null unless the verdict is `winner`.",
        },
        "recommendation": {"type": "string"},
        "control": {"type": "string"},
        "metric": {"type": "string", "enum": list(Metric)},
        "unit": {"type": "string", "enum": list(Unit)},
        "sample_ratio": {
            "type": "object",
            "properties": {
                "p": _NUMBER,
                "expected": _of_each(_NUMBER),
                "observed": _of_each({"type": "integer"}),
                "passed": {"type": "boolean"},
            },
        },
        "rates": _of_each(
            {
                "type": "object",
                "properties": {
                    "rate": _NUMBER,
                    "interval": _INTERVAL,
                    "successes": {"type": "integer"},
                    "trials": {"type": "integer"},
                },
            }
        ),
        "omnibus_p": {
            "type": "number",
            "nullable": True,
            "description": "That all variants have one rate; null after a failed sample ratio.",
        },
        "comparisons": {
            "type": "array",
            "items": _COMPARISON,
            "description": "Every other variant against the control; none after a failed sample "
            "ratio.",
        },
        "p_best": _of_each(_NUMBER, "Chance to have the highest rate, by variant."),
        "expected_loss": _of_each(
            _NUMBER, "Rate given away on average by choosing this variant, by variant."
        ),
        "needed_per_variant": {
            "type": "integer",
            "description": "Units to find the minimum effect with the power asked for.",
        },
        "sample_size": {
            "type": "object",
            "properties": {
                "baseline": _NUMBER,
                "target": _NUMBER,
                "significance": {"type": "number", "description": "Of one comparison."},
                "needed": {"type": "integer"},
                "required": {
                    "type": "integer",
                    "description": "What the variants are held to. Without `baseline`: `needed` "
                    "at the upper 99.9 % bound of the control's rate, at least 85 % of `needed`.",
                },
                "missing": _of_each({"type": "integer"}),
                "reached": {"type": "boolean"},
                "power": {
                    "type": "number",
                    "description": "The chance to find the minimum effect on the control's rate "
                    "with the smallest variant's units.",
                },
            },
        },
        "minimum_effect": _NUMBER,
        "power": _NUMBER,
        "significance": _NUMBER,
        "caveats": _STRINGS | {"description": "What limits the figures, whatever the verdict."},
        VARIANTS: _of_each({"type": "object"}, "The counts as they were given."),
        "created_at": {"type": "string", "format": "date-time"},
        "picture": {"type": "object", "properties": {"b64_json": {"type": "string"}}},
    },
}

ANALYSIS_RESPONSES: Responses = {
    200: {
        "description": "The analysis; with `picture`, a PNG of it beside it.",
        "content": {"application/json": {"schema": _ANALYSIS}},
    },
    **ERROR_RESPONSES,
}

_EXAMPLES: dict[str, Any] = {
    "clicks of impressions": {
        "variants": {
            "blue": {"impressions": 10_000, "clicks": 500},
            "green": {"impressions": 10_050, "clicks": 601},
        },
        "control": "blue",
        "metric": "clicks",
    },
    "conversions of users, 2 to 1": {
        "variants": {
            "old": {"impressions": 40_000, "conversions": 1_000, "users": 20_000},
            "new": {"impressions": 21_000, "conversions": 560, "users": 10_000},
        },
        "control": "old",
        "allocation": {"old": 2, "new": 1},
        "minimum_effect": 0.1,
    },
}


def analysis_body(limits: LimitsConfig) -> dict[str, Any]:
    """The body of ``POST /v1/ab-tests/analyze``."""
    counts = object_schema(field_schemas(CountFields, limits), [])
    named = {
        VARIANTS: {
            "type": "object",
            "propertyNames": {"pattern": NAME_PATTERN},
            "additionalProperties": counts,
            "minProperties": 2,
            "maxProperties": MAX_VARIANTS,
            "description": "the counts of each variant, by its name",
        },
        ALLOCATION: {
            "type": "object",
            "additionalProperties": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": MAX_WEIGHT,
            },
            "description": "the share of the traffic that each variant was to have, by its name; "
            "equal shares by default",
        },
    }
    schema = object_schema(named | field_schemas(AbTestFields, limits), [VARIANTS, "control"])
    documented = request_body({"application/json": schema})
    documented["requestBody"]["content"]["application/json"]["examples"] = {
        title: {"value": example} for title, example in _EXAMPLES.items()
    }
    return documented
