"""Masks as arrays: boxes, bounding boxes, resampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.errors import UnusableMask
from serve_app.images.masks import (
    Box,
    Editable,
    EditMask,
    bounding_box,
    from_box,
    require_usable,
    resized,
)
from tests.images.drawn_masks import masks

# Names


def test_a_mask_is_named_by_its_bits_and_its_size() -> None:
    corner = from_box(Box(0, 0, 1, 1), 4, 6)
    assert EditMask.of(corner).id == EditMask.of(np.asfortranarray(corner)).id
    others = (corner.T, ~corner, from_box(Box(1, 0, 2, 1), 4, 6))
    assert len({EditMask.of(mask).id for mask in (corner, *others)}) == 4


# Boxes


@given(data=st.data(), width=st.integers(1, 50), height=st.integers(1, 50))
def test_a_box_frees_its_pixels_and_no_other(data: st.DataObject, width: int, height: int) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right = data.draw(st.integers(left + 1, width))
    bottom = data.draw(st.integers(top + 1, height))
    box = Box(left, top, right, bottom)
    editable = from_box(box, width, height)
    assert editable.shape == (height, width)
    rows, columns = np.mgrid[:height, :width]
    inside = (left <= columns) & (columns < right) & (top <= rows) & (rows < bottom)
    assert np.array_equal(editable, inside)
    assert bounding_box(editable) == box


@pytest.mark.parametrize(
    "box",
    [
        *((0, 0, 0, 5), (3, 3, 3, 3), (5, 0, 4, 5), (0, 6, 8, 7)),
        *((-1, 0, 4, 5), (0, -1, 4, 5), (0, 0, 9, 5), (0, 0, 8, 7)),
    ],
)
def test_a_box_that_is_empty_or_reaches_beyond_the_image_is_refused(
    box: tuple[int, int, int, int],
) -> None:
    with pytest.raises(UnusableMask) as refusal:
        from_box(Box(*box), 8, 6)
    assert refusal.value.param == "mask_box"
    assert refusal.value.status == 422
    assert "8x6" in refusal.value.message


@given(masks())
def test_the_bounding_box_holds_everything_and_could_not_be_smaller(editable: Editable) -> None:
    box = bounding_box(editable)
    if box is None:
        assert not editable.any()
        return
    part = editable[box.area]
    assert part.sum() == editable.sum()
    assert all(edge.any() for edge in (part[0], part[-1], part[:, 0], part[:, -1]))


# Which masks can be used


def test_a_mask_of_the_images_size_with_one_editable_pixel_is_usable() -> None:
    require_usable(from_box(Box(7, 5, 8, 6), 8, 6), 8, 6)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(UnusableMask) as refusal:
        require_usable(np.ones((8, 6), dtype=np.bool_), 8, 6)
    assert "6x8" in refusal.value.message
    assert "8x6" in refusal.value.message
    assert refusal.value.param == "mask"


def test_a_mask_that_frees_nothing_is_refused() -> None:
    with pytest.raises(UnusableMask) as refusal:
        require_usable(np.zeros((6, 8), dtype=np.bool_), 8, 6)
    assert "nothing to edit" in refusal.value.message


# Resampling


@settings(deadline=None)
@given(editable=masks(largest=40), width=st.integers(1, 60), height=st.integers(1, 60))
def test_a_pixel_of_a_resized_mask_is_editable_if_one_under_it_is(
    editable: Editable, width: int, height: int
) -> None:
    rows, columns = editable.shape
    expected = np.zeros((height, width), dtype=np.bool_)
    for y, x in zip(*editable.nonzero(), strict=True):
        # The source pixel covers [y, y+1) * height / rows of the result.
        down = slice(y * height // rows, -(-(y + 1) * height // rows))
        across = slice(x * width // columns, -(-(x + 1) * width // columns))
        expected[down, across] = True
    assert np.array_equal(resized(editable, (width, height)), expected)


def test_a_mask_of_the_wanted_size_stays_as_it_is() -> None:
    editable = np.random.default_rng(0).random((17, 23)) < 0.2
    assert np.array_equal(resized(editable, (23, 17)), editable)
