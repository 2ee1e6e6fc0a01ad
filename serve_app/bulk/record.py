"""What is known of a row once it has ended: a line of the ledger, a row of the results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa

from serve_app.bulk.row import Row
from serve_app.edits.attempt import forwards
from serve_app.edits.result import EditOutcome
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

    ``checks`` are values by name (those with a number). ``forwards`` are those of all attempts
    together, and ``seconds`` from the row's place in the batch to its end. ``image`` and
    ``record`` are places below the output folder. ``ended_at`` is in seconds since 1970.
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


def failed_record(row: Row, code: str, message: str) -> RowRecord:
    """``row`` has ended without an image."""
    return RowRecord(
        row.number, row.id, Status.FAILED, time.time(), error_code=code, error_message=message
    )


def succeeded_record(
    row: Row, outcome: EditOutcome, seconds: float, image: str, record: str
) -> RowRecord:
    """``row`` has ended with ``outcome``, which is at the places ``image`` and ``record``."""
    result, facts = outcome.result, outcome.result.metadata
    plan, report = facts["plan"], facts["report"]
    return RowRecord(
        row=row.number,
        id=row.id,
        status=Status.SUCCEEDED,
        ended_at=time.time(),
        verdict=result.verdict,
        reasons=tuple(report["reasons"]),
        checks={
            check["name"]: float(check["value"])
            for check in report["checks"]
            if check["value"] is not None
        },
        edit_type=plan["edit_type"],
        seed=result.seed,
        true_cfg_scale=plan["true_cfg_scale"],
        num_inference_steps=plan["num_inference_steps"],
        attempts=result.attempts,
        forwards=sum(
            forwards(attempt["num_inference_steps"], attempt["true_cfg_scale"])
            for attempt in facts["attempts"]
        ),
        seconds=round(seconds, 4),
        cache=str(outcome.cache),
        width=result.width,
        height=result.height,
        image=image,
        record=record,
        model=facts["model"]["name"],
        model_revision=facts["model"]["revision"],
    )
