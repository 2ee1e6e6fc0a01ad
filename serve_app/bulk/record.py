"""What is known of a row once it has ended: a line of the ledger, a row of the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa

from serve_app.quality.table import TABLE

CHECKS = tuple(rule.name for rule in TABLE)
"""Names of the checks, each of which may have a value."""


class Status(StrEnum):
    """``succeeded`` means that there is an image; what it is worth, its verdict says."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RowRecord:
    """How a row ended.

    ``checks`` are values by name (those with a number). ``forwards`` are those of all
    attempts together, and ``seconds`` from the row's turn in the editor to its end. ``image`` and ``record`` are places
    below the output folder. ``ended_at`` is in seconds since 1970.
    """

    row: int
    id: str
    status: Status
    ended_at: float
    error_code: str | None = None
    error_message: str | None = None
    verdict: str | None = None
    reasons: tuple[str, ...] = ()
    checks: Mapping[str, float] = field(default_factory=dict)
    edit_type: str | None = None
    seed: int | None = None
    true_cfg_scale: float | None = None
    num_inference_steps: int | None = None
    attempts: int | None = None
    forwards: int | None = None
    seconds: float | None = None
    cache: str | None = None
    width: int | None = None
    height: int | None = None
    image: str | None = None
    record: str | None = None
    model: str | None = None
    model_revision: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values; what is not there is left out."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return given | {"status": str(self.status), "reasons": list(self.reasons)}


SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        ("ended_at", pa.float64()),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("verdict", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("checks", pa.struct([(name, pa.float64()) for name in CHECKS])),
        ("edit_type", pa.string()),
        ("seed", pa.int64()),
        ("true_cfg_scale", pa.float64()),
        ("num_inference_steps", pa.int64()),
        ("attempts", pa.int64()),
        ("forwards", pa.int64()),
        ("seconds", pa.float64()),
        ("cache", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("image", pa.string()),
        ("record", pa.string()),
        ("model", pa.string()),
        ("model_revision", pa.string()),
    ]
)
"""``RowRecord.to_json`` as Arrow has it."""
