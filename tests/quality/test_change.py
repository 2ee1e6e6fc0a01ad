import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab

from serve_app.images.pixels import RGB
from serve_app.quality.change import change_map
from tests.quality.pictures import flat, photo, with_square


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
    by=st.tuples(*[st.integers(-8, 8)] * 3),
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


def test_another_background_is_a_change_and_no_cast() -> None:
    original = flat(200)
    original[100:160, 90:170] = (180, 40, 40)
    edited = original.copy()
    edited[(original == 200).all(axis=-1)] = (40, 60, 190)
    change = change_map(original, edited)
    assert change.cast == 0.0
    assert change.area == pytest.approx(1 - 60 * 80 / 256**2, abs=0.02)
    assert not change.changed[130, 130]
