"""Parameters of rows are what requests with the same fields ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.edit_parameters import EditParameters
from serve_app.api.model_fields import parse_model
from serve_app.bulk.manifest.parameters import ParameterReader
from serve_app.bulk.manifest.reading import PARAMETERS
from serve_app.config import LimitsConfig
from serve_app.errors import InvalidRequest

LIMITS = LimitsConfig()

PROMPTS = (
    st.sampled_from(["x", " make it red ", "e\u0301", '"\\', "\ud800", "", "\x00"]) | st.text()
)
TYPED = {
    "prompt": PROMPTS | st.just(5),
    "seed": st.sampled_from(["random", "5", True, 1.0, 2**63 - 1, 2**63, -1]) | st.integers(),
    "true_cfg_scale": st.sampled_from([1, 1.0, True, "1", 4.5, 21]),
    "num_inference_steps": st.sampled_from([1, 1.0, True, 50, 201]),
    "edit_type": st.sampled_from(["auto", "text", "paint"]),
    "quality": st.sampled_from(["auto", "low", "best", 1]),
    "size": st.sampled_from(["auto", "512x512", "5x5"]),
    "cache": st.sampled_from(["use", "off", ""]),
    "mask_box": st.sampled_from([[1, 2, 3, 4], [1, 2, 3], "1,2,3,4", [1, 2, 3, True]]),
    "lora": st.sampled_from([{"name": "a"}, {"name": "a", "scale": -0.0}, {"name": "/"}, "a"]),
    "negative_prompt": st.sampled_from(["", "blue", "\x00"]),
}
TEXTS = {
    "prompt": PROMPTS,
    "seed": st.sampled_from(
        ["random", "5", "007", "+5", " 5", "5.0", "1_0", "٣", "1" * 18, "9" * 19]
    ),
    "true_cfg_scale": st.sampled_from(["1", "4.5", "nan", "x"]),
    "num_inference_steps": st.sampled_from(["1", "50", "1.0", "201"]),
    "mask_box": st.sampled_from(["1,2,3,4", "[1, 2, 3, 4]", "1,2"]),
    "lora": st.sampled_from(['{"name": "a"}', "a"]),
}


def rows_of(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries({}, optional={k: v | st.none() for k, v in fields.items()})
    return st.lists(row, max_size=8)


def answer(row: dict[str, Any], typed: bool) -> Any:
    try:
        return parse_model(EditParameters, row, LIMITS, typed=typed).recorded()
    except InvalidRequest as error:
        return type(error), error.message, error.param


def read(reader: ParameterReader, row: dict[str, Any]) -> Any:
    try:
        asked, has_mask_box = reader.read(row)
    except InvalidRequest as error:
        return type(error), error.message, error.param
    record = json.loads(asked)
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    assert asked == canonical
    assert has_mask_box == ("mask_box" in record)
    return record


@given(rows_of(TYPED))
def test_typed_rows(rows: list[dict[str, Any]]) -> None:
    reader = ParameterReader(PARAMETERS, LIMITS, typed=True)
    assert [read(reader, row) for row in rows] == [answer(row, True) for row in rows]


@given(rows_of(TEXTS))
def test_rows_of_text(rows: list[dict[str, Any]]) -> None:
    reader = ParameterReader(PARAMETERS, LIMITS, typed=False)
    assert [read(reader, row) for row in rows] == [answer(row, False) for row in rows]


@pytest.mark.parametrize("value", [1.0, True, 1])
def test_values_that_are_equal_are_not_the_same(value: Any) -> None:
    reader = ParameterReader(PARAMETERS, LIMITS, typed=True)
    read(reader, {"prompt": "x", "max_attempts": 1})
    row = {"prompt": "x", "max_attempts": value}
    assert read(reader, row) == answer(row, True)
