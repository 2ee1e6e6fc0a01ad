import io

import numpy as np
import pytest
from PIL import Image

from serve_app.images.masks import Editable
from serve_app.images.pixels import RGB
from serve_app.quality.measurement import Measurement
from serve_app.quality.no_op import no_op
from tests.quality.pictures import PHOTOS, pair, photo, value, with_square


def judge(original: RGB, edited: RGB, mask: Editable | None = None) -> Measurement:
    return no_op(pair(original, edited, mask=mask))


def box(size: tuple[int, int], left: int, top: int, right: int, bottom: int) -> Editable:
    mask = np.zeros(size[::-1], np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def as_jpeg(pixels: RGB, quality: int) -> RGB:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("name", PHOTOS)
def test_copies_are_found(name: str) -> None:
    original = photo(name)
    assert judge(original, original).value == 0.0
    for copy in (original, as_jpeg(original, 85), np.clip(original, 1, 254)):
        assert value(judge(original, copy)) < 1


@pytest.mark.parametrize("name", PHOTOS)
def test_edits_count(name: str) -> None:
    original = photo(name)
    assert value(judge(original, with_square(original))) >= 1
    assert value(judge(original, 255 - original)) >= 1


@pytest.mark.parametrize("side", [1, 2, 3, 8, 24])
def test_a_small_masked_edit_counts_in_a_large_picture(side: int) -> None:
    original = photo(size=(2000, 1500))
    edited = original.copy()
    edited[700 : 700 + side, 900 : 900 + side] = 255 - edited[700 : 700 + side, 900 : 900 + side]
    mask = box((2000, 1500), 900, 700, 900 + side, 700 + side)
    assert value(judge(original, edited)) < 1
    assert value(judge(original, edited, mask)) >= 1


@pytest.mark.parametrize("side", [1, 3, 24, 700])
def test_a_copy_is_found_inside_of_a_mask(side: int) -> None:
    original = photo(size=(2000, 1500))
    mask = box((2000, 1500), 900, 700, 900 + side, 700 + side)
    assert judge(original, original, mask).value == 0.0
    for copy in (as_jpeg(original, 92), np.clip(original, 1, 254)):
        assert value(judge(original, copy, mask)) < 1


def test_what_changed_beyond_the_mask_does_not_count() -> None:
    original = photo()
    mask = box((256, 256), 150, 150, 200, 200)
    assert value(judge(original, with_square(original))) >= 1
    assert value(judge(original, with_square(original), mask)) < 1


def test_small_edits_far_apart_are_no_copy() -> None:
    original = photo(size=(1024, 1024))
    mask = box((1024, 1024), 8, 8, 24, 24) | box((1024, 1024), 1000, 1000, 1016, 1016)
    edited = np.where(mask[..., None], 255 - original, original)
    assert value(judge(original, edited, mask)) >= 1
    assert value(judge(original, original, mask)) < 1


def test_a_result_of_another_size_is_compared_at_the_originals() -> None:
    original = photo(size=(200, 100))
    larger = photo(size=(400, 200))
    mask = box((200, 100), 100, 30, 180, 90)
    assert value(judge(original, larger, mask)) < 1
    larger[100:140, 240:300] = (0, 255, 0)
    assert value(judge(original, larger, mask)) >= 1


def test_a_pure_change_of_colour_counts() -> None:
    original = photo()
    warmer = np.clip(original + np.array([24, 4, -24]), 0, 255).astype(np.uint8)
    found = judge(original, warmer)
    assert value(found) >= 1
    assert found.evidence["cast_delta_e"] >= 3


def test_a_shifted_copy_is_a_copy() -> None:
    original = photo(size=(256, 256))
    assert value(judge(original[:-6, :-6], original[6:, 6:])) < 1
