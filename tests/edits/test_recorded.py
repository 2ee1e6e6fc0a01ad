"""What was asked is kept as JSON, and read back as the same request."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.edits.recorded import recorded_request
from serve_app.edits.request import (
    DEFAULT_PRIORITY,
    CachePolicy,
    EditRequest,
    EditType,
    ExactSize,
    LoraUse,
    Quality,
)
from serve_app.images.masks import EditMask
from serve_app.images.pixels import DecodedImage

IMAGES = [DecodedImage.of(np.full((32, 48, 3), grey, np.uint8)) for grey in range(4)]
MASK = EditMask.of(np.ones((32, 48), np.bool_))

texts = st.text(min_size=1, max_size=30)
sides = st.integers(1, 10_000)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def numbers(least: float, most: float) -> st.SearchStrategy[float]:
    return st.floats(least, most, allow_nan=False)


requests = st.builds(
    EditRequest,
    images=st.lists(st.sampled_from(IMAGES), min_size=1, max_size=4).map(tuple),
    prompt=texts,
    edit_type=st.just("auto") | st.sampled_from(EditType),
    negative_prompt=maybe(st.text(max_size=30)),
    true_cfg_scale=maybe(numbers(1, 20)),
    num_inference_steps=maybe(st.integers(1, 200)),
    seed=maybe(st.integers(0, 2**63 - 1) | st.just("random")),
    size=st.sampled_from(["auto", "native"]) | st.builds(ExactSize, sides, sides),
    max_attempts=maybe(st.integers(1, 4)),
    cache=st.sampled_from(CachePolicy),
    variation=st.integers(0, 7),
    mask=maybe(st.just(MASK)),
    lora=maybe(st.builds(LoraUse, texts, numbers(-4, 4))),
    priority=st.integers(0, 9),
    deadline_s=maybe(numbers(0.001, 540)),
    user=maybe(texts),
    quality=maybe(st.sampled_from(Quality)),
    expected_text=maybe(texts),
    old_text=maybe(texts),
)


@settings(deadline=None)
@given(requests)
def test_a_record_gives_the_request_back(request: EditRequest) -> None:
    # Identical edits share a record: these three are nobody else's to read, and kept apart.
    delivery = {name: getattr(request, name) for name in ("priority", "deadline_s", "user")}
    asked = json.loads(json.dumps(request.to_json() | delivery))
    again = recorded_request(asked, request.images, request.mask)
    assert again == request
    assert again.to_json() == request.to_json()
    assert asked["images"] == [image.id for image in again.images]
    assert asked.get("mask") == (again.mask and again.mask.id)


@settings(deadline=None)
@given(requests)
def test_a_record_without_its_delivery_has_the_defaults(request: EditRequest) -> None:
    again = recorded_request(request.to_json(), request.images, request.mask)
    assert again.to_json() == request.to_json()
    assert (again.priority, again.deadline_s, again.user) == (DEFAULT_PRIORITY, None, None)


def test_what_is_left_out_has_its_default() -> None:
    images = tuple(IMAGES[:2])
    assert recorded_request({"prompt": "x"}, images) == EditRequest(images, "x")


@settings(deadline=None)
@given(requests, st.data())
def test_any_field_may_be_left_out(request: EditRequest, data: st.DataObject) -> None:
    record = request.to_json()
    optional = sorted(record.keys() - {"prompt"})
    left_out = data.draw(st.sets(st.sampled_from(optional)))
    shorter = {name: value for name, value in record.items() if name not in left_out}
    again = recorded_request(shorter, request.images, request.mask)
    default = EditRequest(request.images, request.prompt, mask=request.mask)
    # The images and the mask are not read from the record.
    for name in record.keys() - {"images", "mask"}:
        wanted = default if name in left_out else request
        assert getattr(again, name) == getattr(wanted, name)


@pytest.mark.parametrize("field", ["edit_type", "cache", "quality"])
def test_names_of_another_version_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match="brandnew"):
        recorded_request({"prompt": "x", field: "brandnew"}, IMAGES[:1])
