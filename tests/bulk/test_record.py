"""What is kept of a row that has ended: plain JSON, and the columns of the ledger."""

from __future__ import annotations

import json
import math
import time
from dataclasses import fields, replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.bulk.record import (
    CHECKS,
    SCHEMA,
    RowRecord,
    Status,
    failed_record,
    succeeded_record,
)
from serve_app.bulk.row import Row
from serve_app.edits.result import CacheStatus, EditOutcome
from tests.storage.virtual_time import edit_result

ROW = Row(7, "shoe", ("x.png",), None, {"prompt": "make it blue"})


def metadata(**changes: Any) -> dict[str, Any]:
    """The record of an edit with a draft and a full attempt after it, as far as it matters."""
    made: dict[str, Any] = {
        "model": {"name": "tiny", "revision": "abc"},
        "plan": {"edit_type": "text", "true_cfg_scale": 4.0, "num_inference_steps": 50},
        "report": {
            "reasons": ["The words are not there."],
            "checks": [
                {"name": CHECKS[0], "value": 0.25},
                {"name": CHECKS[1], "value": None},
                {"name": CHECKS[2], "value": 1},
            ],
        },
        "attempts": [
            {"num_inference_steps": 4, "true_cfg_scale": 1.0},
            {"num_inference_steps": 50, "true_cfg_scale": 4.0},
        ],
    }
    return made | changes


def test_every_field_is_a_column_of_the_ledger() -> None:
    assert [field.name for field in fields(RowRecord)] == SCHEMA.names
    checks = SCHEMA.field("checks").type
    assert [checks.field(i).name for i in range(checks.num_fields)] == list(CHECKS)


def test_what_is_not_there_is_left_out() -> None:
    record = RowRecord(1, "x", Status.FAILED, 2.5, error_code="edit_failed")
    assert record.to_json() == {
        "row": 1,
        "id": "x",
        "status": "failed",
        "ended_at": 2.5,
        "error_code": "edit_failed",
        "reasons": [],
        "checks": {},
    }


numbers = st.integers(0, 2**63 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    record=st.builds(
        RowRecord,
        numbers,
        st.text(),
        st.sampled_from(Status),
        finite,
        error_code=st.none() | st.text(),
        reasons=st.lists(st.text(), max_size=3).map(tuple),
        checks=st.dictionaries(st.sampled_from(CHECKS), finite),
        seed=st.none() | numbers,
        seconds=st.none() | finite,
    )
)
def test_it_is_json_that_the_ledger_has_columns_for(record: RowRecord) -> None:
    line = json.loads(json.dumps(record.to_json(), allow_nan=False))
    assert line == record.to_json()
    (read,) = pa.Table.from_pylist([line], SCHEMA).to_pylist()
    assert (read["row"], read["id"], read["status"]) == (record.row, record.id, record.status)
    assert read["seed"] == record.seed
    assert tuple(read["reasons"]) == record.reasons
    given = {name: value for name, value in read["checks"].items() if value is not None}
    assert given == record.checks


def test_a_failed_row_has_why() -> None:
    before = time.time()
    record = failed_record(ROW, "image_not_found", "There is no image.")
    assert before <= record.ended_at <= time.time()
    assert replace(record, ended_at=0.0) == RowRecord(
        7,
        "shoe",
        Status.FAILED,
        0.0,
        error_code="image_not_found",
        error_message="There is no image.",
    )


def test_a_row_that_succeeded_has_what_was_made_of_it() -> None:
    result = edit_result(metadata=metadata())
    result = replace(result, verdict="fail", attempts=2)
    outcome = EditOutcome(result, CacheStatus.JOINED)
    record = succeeded_record(ROW, outcome, 1.23456789, "images/a.png", "records/a.json")
    assert replace(record, ended_at=0.0) == RowRecord(
        7,
        "shoe",
        Status.SUCCEEDED,
        0.0,
        verdict="fail",
        reasons=("The words are not there.",),
        checks={CHECKS[0]: 0.25, CHECKS[2]: 1.0},
        edit_type="text",
        seed=2**63 - 1,
        true_cfg_scale=4.0,
        num_inference_steps=50,
        attempts=2,
        forwards=4 + 2 * 50,
        seconds=1.2346,
        cache="joined",
        width=64,
        height=48,
        image="images/a.png",
        record="records/a.json",
        model="tiny",
        model_revision="abc",
    )
    assert all(isinstance(value, float) for value in record.checks.values())


def test_a_model_without_a_revision_has_none() -> None:
    facts = metadata(model={"name": "tiny", "revision": None})
    outcome = EditOutcome(edit_result(metadata=facts), CacheStatus.MISS)
    record = succeeded_record(ROW, outcome, 1.0, "a", "b")
    assert record.model_revision is None
    assert "model_revision" not in record.to_json()


@pytest.mark.parametrize("scale", [1.0, 1.5, 4.0])
def test_guidance_costs_a_second_pass(scale: float) -> None:
    facts = metadata(attempts=[{"num_inference_steps": 3, "true_cfg_scale": scale}])
    outcome = EditOutcome(edit_result(metadata=facts), CacheStatus.MISS)
    record = succeeded_record(ROW, outcome, 1.0, "a", "b")
    assert record.forwards == (3 if math.isclose(scale, 1.0) else 6)
