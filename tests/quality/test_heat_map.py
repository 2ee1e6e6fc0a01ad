import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.quality.heat_map import STRONGEST, heat_map, legend
from tests.quality.pictures import flat, photo


def lightness(pixels: np.ndarray) -> np.ndarray:
    """CIE L of the pixels, 0 to 100."""
    lab: np.ndarray = cv2.cvtColor(pixels.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return lab[..., 0]


@settings(max_examples=20, deadline=None)
@given(level=st.integers(0, 255))
def test_what_changed_more_is_lighter_on_any_background(level: int) -> None:
    distances = np.linspace(0.0, STRONGEST, 41, dtype=np.float32)[None]
    drawn = heat_map(flat(level, (41, 1)), distances)
    steps = np.diff(lightness(drawn)[0])
    assert steps.min() > -1.0  # rounding to whole levels
    assert lightness(drawn)[0, -1] > 90


def test_what_did_not_change_is_the_original_in_dim_grey() -> None:
    original = photo()
    drawn = heat_map(original, np.zeros((20, 20), np.float32)).astype(int)
    assert np.ptp(drawn, axis=2).max() == 0
    grey = np.asarray(cv2.cvtColor(original, cv2.COLOR_RGB2GRAY), int)
    assert (drawn[..., 0] <= grey).all()
    assert np.corrcoef(drawn[..., 0].ravel(), grey.ravel())[0, 1] > 0.99


def test_the_legend_goes_from_dark_to_bright() -> None:
    drawn = legend(80, 8)
    assert drawn.shape == (8, 80, 3)
    assert np.diff(lightness(drawn)[0]).min() > -1.0
