import numpy as np
import pytest

from serve_app.quality.extent import inside_mask, outside_mask, over_edit
from tests.quality.pictures import flat, pair, photo, value, with_square


def mask(left: int, top: int, right: int, bottom: int, side: int = 256) -> np.ndarray:
    editable = np.zeros((side, side), np.bool_)
    editable[top:bottom, left:right] = True
    return editable


def test_the_changed_area_is_a_share_of_the_picture() -> None:
    found = over_edit(pair(flat(100), with_square(flat(100), side=64)))
    assert value(found) == pytest.approx(64 * 64 / 256**2, rel=0.2)
    ((left, top, right, bottom),) = found.evidence["boxes"]
    assert (left, top, right, bottom) == pytest.approx((70, 60, 134, 124), abs=4)


def test_boxes_are_in_pixels_of_the_original() -> None:
    original = photo(size=(1600, 1600))
    edited = original.copy()
    edited[400:800, 200:600] = (255, 0, 0)
    found = over_edit(pair(original, edited))
    assert found is not None
    assert found.evidence["boxes"][0] == pytest.approx([200, 400, 600, 800], abs=12)


def test_with_a_mask_spill_is_what_counts() -> None:
    original = photo()
    within = pair(original, with_square(original), mask=mask(60, 50, 130, 120))
    beside = pair(original, with_square(original), mask=mask(150, 150, 250, 250))
    assert over_edit(within) is None
    assert value(outside_mask(within)) == 0.0
    assert value(inside_mask(within)) > 0.2
    assert 0.02 < value(outside_mask(beside)) < 0.05
    assert value(inside_mask(beside)) == 0.0


def test_without_a_mask_it_does_not_apply() -> None:
    both = pair(photo(), with_square(photo()))
    assert outside_mask(both) is None
    assert inside_mask(both) is None


def test_a_mask_of_everything_protects_nothing() -> None:
    both = pair(photo(), with_square(photo()), mask=np.ones((256, 256), np.bool_))
    found = outside_mask(both)
    assert found is not None
    assert found.status == "unsupported"
