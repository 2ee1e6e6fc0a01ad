"""What jobs keep of an edit's fields is the edit that the fields ask for."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.api.edit_parameters import MAX_SEED, EditParameters
from serve_app.api.model_fields import parse_model
from serve_app.edits.recorded import recorded_request
from serve_app.edits.request import CachePolicy, EditRequest, EditType
from serve_app.images.pixels import DecodedImage
from tests.api.conftest import LIMITS

IMAGES = (DecodedImage.of(np.zeros((48, 64, 3), np.uint8)),)

letters = st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))
texts = st.text(letters, max_size=30).map(lambda text: f"x{text}x")
edges = st.integers(-999_999, 999_999)

given_fields = st.fixed_dictionaries(
    {"prompt": texts},
    optional={
        "negative_prompt": st.text(letters, max_size=30),
        "edit_type": st.sampled_from(["auto", *map(str, EditType)]),
        "size": st.sampled_from(["auto", "native", "64x48", "1024x768", "10000x1000"]),
        "seed": st.integers(0, MAX_SEED) | st.just("random"),
        "true_cfg_scale": st.floats(1, 20) | st.integers(1, 20),
        "num_inference_steps": st.integers(1, LIMITS.max_steps),
        "max_attempts": st.integers(1, 4),
        "quality": st.sampled_from(["auto", "draft", "standard", "best", "low", "medium", "high"]),
        "expected_text": texts,
        "old_text": texts,
        "mask_box": st.lists(edges, min_size=4, max_size=4),
        "lora": st.fixed_dictionaries(
            {"name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)},
            optional={"scale": st.floats(-4, 4) | st.integers(-4, 4)},
        ),
        "cache": st.sampled_from([*map(str, CachePolicy)]),
    },
)


def _parsed(values: dict[str, Any]) -> EditParameters:
    return parse_model(EditParameters, values, LIMITS, typed=True)


def _request(fields: EditParameters) -> EditRequest:
    """The request that the fields ask for; a mask is made elsewhere."""
    names = EditParameters.model_fields.keys() - {"mask_box"}
    return EditRequest(IMAGES, **{name: getattr(fields, name) for name in names})


@settings(deadline=None)
@given(given_fields)
def test_the_record_of_fields_is_the_request_they_ask_for(values: dict[str, Any]) -> None:
    fields = _parsed(values)
    record = json.loads(json.dumps(fields.recorded()))
    assert recorded_request(record, IMAGES) == _request(fields)
    assert record.get("mask_box") == values.get("mask_box")


@settings(deadline=None)
@given(given_fields)
def test_a_record_may_be_given_as_fields_again(values: dict[str, Any]) -> None:
    record = _parsed(values).recorded()
    assert _parsed(record).recorded() == record


@settings(deadline=None)
@given(given_fields)
def test_only_what_was_given_is_recorded(values: dict[str, Any]) -> None:
    record = _parsed(values).recorded()
    # A quality of `auto` is what the service is set to: as if nothing had been said.
    silent = {"quality"} if values.get("quality") == "auto" else set()
    assert record.keys() == values.keys() - silent
