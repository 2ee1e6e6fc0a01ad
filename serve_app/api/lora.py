"""The ``lora`` field: an adapter by its name, at a strength."""

from __future__ import annotations

from typing import Any

from serve_app.api.body import parse_json
from serve_app.edits.request import ADAPTER_NAME, LoraUse
from serve_app.errors import InvalidRequest

MAX_SCALE = 4

_MAX_TEXT = 1_000
"""Characters of JSON; the longest name with its scale has some hundred."""

LORA_SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": f"^{ADAPTER_NAME.pattern}$"},
        "scale": {"type": "number", "minimum": -MAX_SCALE, "maximum": MAX_SCALE, "default": 1},
    },
    "required": ["name"],
    "additionalProperties": False,
}


def parse_lora(value: Any, *, typed: bool) -> LoraUse:
    """Read an object, or its JSON text where bodies are not ``typed``.

    Raises:
        ValueError: With what the field must be, to follow its name.
    """
    lora = _object(value, typed)
    if isinstance(lora, dict) and lora.keys() <= {"name", "scale"}:
        name, scale = lora.get("name"), lora.get("scale", 1.0)
        if isinstance(name, str) and ADAPTER_NAME.fullmatch(name) and _is_scale(scale):
            return LoraUse(name, float(scale) + 0.0)  # no minus zero: it would be another key
    raise ValueError(
        f"must be an object with a `name` from /v1/models and, if you like, a `scale` from "
        f"-{MAX_SCALE} to {MAX_SCALE}"
    )


def _object(value: Any, typed: bool) -> Any:
    if typed:
        return value
    try:
        return parse_json(value[: _MAX_TEXT + 1]) if len(value) <= _MAX_TEXT else None
    except (ValueError, InvalidRequest):
        return None


def _is_scale(scale: Any) -> bool:
    # Compared, not converted: NaN is refused, and so is a whole number too long for a float.
    return type(scale) in (int, float) and -MAX_SCALE <= scale <= MAX_SCALE
