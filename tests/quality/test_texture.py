import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from serve_app.images.pixels import RGB
from serve_app.quality.texture import detail, noise, noise_sigma
from tests.quality.pictures import PHOTOS, flat, pair, photo, value, with_square


def noisy(original: RGB, sigma: float) -> RGB:
    drawn = np.random.default_rng(0).normal(0, sigma, original.shape[:2])
    return np.clip(original + drawn[..., None], 0, 255).astype(np.uint8)


def blurred(original: RGB, sigma: float) -> RGB:
    return gaussian_filter(original, (sigma, sigma, 0))


@settings(max_examples=20, deadline=None)
@given(sigma=st.floats(1, 30), slope=st.floats(0, 1))
def test_the_sigma_of_noise_is_found_on_a_slope(sigma: float, slope: float) -> None:
    image = np.random.default_rng(1).normal(0, sigma, (160, 160)) + slope * np.arange(160)
    found = noise_sigma(image.astype(np.float32), np.ones(image.shape, np.bool_))
    assert found == pytest.approx(sigma, rel=0.06)


@pytest.mark.parametrize("name", PHOTOS)
def test_figures_grow_with_the_defect(name: str) -> None:
    original = photo(name)
    by_noise = [value(noise(pair(original, noisy(original, sigma)))) for sigma in (0, 4, 8, 16)]
    by_blur = [value(detail(pair(original, blurred(original, s)))) for s in (0.1, 0.8, 1.5, 3)]
    assert by_noise == sorted(by_noise)
    assert by_noise[1] > 0.9
    assert by_blur == sorted(by_blur, reverse=True)
    assert by_blur[1] < 0.6


def test_an_edit_is_not_texture_of_what_was_kept() -> None:
    both = pair(photo(), with_square(noisy(photo(), 0)))
    assert value(detail(both)) == pytest.approx(1, abs=0.02)
    assert value(noise(both)) == pytest.approx(0, abs=0.05)


def test_sharpening_is_more_than_one() -> None:
    original = photo().astype(float)
    sharp = np.clip(original + 2 * (original - blurred(photo(), 1.0)), 0, 255).astype(np.uint8)
    assert value(detail(pair(photo(), sharp))) > 1.6


def test_a_plain_surface_has_no_detail_to_lose() -> None:
    assert detail(pair(flat(), with_square(flat()))).status == "unsupported"
