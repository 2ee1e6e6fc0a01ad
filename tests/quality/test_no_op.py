import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab

from serve_app.config import QualityConfig
from serve_app.images.masks import Editable
from serve_app.images.pixels import RGB
from serve_app.quality.no_op import change_map, no_op
from serve_app.quality.subject import Measurement, Subject
from tests.quality.pictures import PHOTOS, flat, photo, with_square


def judge(original: RGB, edited: RGB, mask: Editable | None = None) -> Measurement:
    return no_op(Subject.of(original, edited, True, QualityConfig(), mask))


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
        assert judge(original, copy).passed is False


@pytest.mark.parametrize("name", PHOTOS)
def test_edits_count(name: str) -> None:
    original = photo(name)
    assert judge(original, with_square(original)).passed
    assert judge(original, 255 - original).passed


@pytest.mark.parametrize("side", [1, 2, 3, 8, 24])
def test_a_small_masked_edit_counts_in_a_large_picture(side: int) -> None:
    original = photo(size=(2000, 1500))
    edited = original.copy()
    edited[700 : 700 + side, 900 : 900 + side] = 255 - edited[700 : 700 + side, 900 : 900 + side]
    mask = box((2000, 1500), 900, 700, 900 + side, 700 + side)
    assert judge(original, edited).passed is False
    assert judge(original, edited, mask).passed


@pytest.mark.parametrize("side", [1, 3, 24, 700])
def test_a_copy_is_found_inside_of_a_mask(side: int) -> None:
    original = photo(size=(2000, 1500))
    mask = box((2000, 1500), 900, 700, 900 + side, 700 + side)
    assert judge(original, original, mask).value == 0.0
    for copy in (as_jpeg(original, 92), np.clip(original, 1, 254)):
        assert judge(original, copy, mask).passed is False


def test_what_changed_beyond_the_mask_does_not_count() -> None:
    original = photo()
    mask = box((256, 256), 150, 150, 200, 200)
    assert judge(original, with_square(original)).passed
    assert judge(original, with_square(original), mask).passed is False


def test_small_edits_far_apart_are_no_copy() -> None:
    original = photo(size=(1024, 1024))
    mask = box((1024, 1024), 8, 8, 24, 24) | box((1024, 1024), 1000, 1000, 1016, 1016)
    edited = np.where(mask[..., None], 255 - original, original)
    assert judge(original, edited, mask).passed
    assert judge(original, original, mask).passed is False


def test_a_result_of_another_size_is_compared_at_the_originals() -> None:
    original = photo(size=(200, 100))
    larger = photo(size=(400, 200))
    mask = box((200, 100), 100, 30, 180, 90)
    assert judge(original, larger, mask).passed is False
    larger[100:140, 240:300] = (0, 255, 0)
    assert judge(original, larger, mask).passed


def test_a_pure_change_of_colour_counts() -> None:
    original = photo()
    warmer = np.clip(original + np.array([24, 4, -24]), 0, 255).astype(np.uint8)
    found = judge(original, warmer)
    assert found.passed
    assert found.evidence["cast_delta_e"] >= 3


def test_the_area_is_that_of_the_edit() -> None:
    original = flat(100)
    change = change_map(original, with_square(original, side=64))
    assert change.area == pytest.approx(64 * 64 / 256**2, rel=0.2)
    assert change.changed[92, 102]
    assert not change.changed[200, 200]


def test_the_figures_are_those_of_independent_libraries() -> None:
    original = photo()
    edited = with_square(original)

    def lab(pixels: RGB) -> np.ndarray:
        # OpenCV mirrors at the border without repeating the edge, as scipy's "mirror" does.
        blurred = gaussian_filter(pixels / 255.0, (2, 2, 0), mode="mirror")
        return rgb2lab(blurred)

    difference = lab(edited) - lab(original)
    shift = np.median(difference.reshape(-1, 3), axis=0)
    expected = np.linalg.norm(difference - shift, axis=-1)
    change = change_map(original, edited)
    assert np.percentile(np.abs(change.delta_e - expected), 99) < 0.5
    assert change.strength == pytest.approx(np.percentile(expected, 99.9), rel=0.01)
    assert change.cast == pytest.approx(np.linalg.norm(shift), abs=0.01)


@settings(max_examples=20, deadline=None)
@given(
    level=st.integers(30, 220),
    by=st.tuples(*[st.integers(-25, 25)] * 3),
)
def test_an_even_cast_is_no_change_of_area(level: int, by: tuple[int, int, int]) -> None:
    original = flat(level, (64, 64))
    change = change_map(original, (original + np.array(by)).astype(np.uint8))
    assert change.area == 0.0
    expected = rgb2lab(np.array([[np.add(level, by)]]) / 255) - rgb2lab(
        np.full((1, 1, 3), level) / 255
    )
    # OpenCV reads Lab from an interpolated table: off by up to 0.5 in 200,000 random pairs.
    assert change.cast == pytest.approx(float(np.linalg.norm(expected)), abs=0.6)
