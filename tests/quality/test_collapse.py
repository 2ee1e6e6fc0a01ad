import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import entropy

from serve_app.images.geometry import resize
from serve_app.images.pixels import RGB
from serve_app.quality.collapse import collapse, finite, luma_entropy, spectral_flatness
from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Subject, luma
from tests.quality.pictures import PHOTOS, flat, noise, pair, photo, value


def judged(edited: RGB, is_finite: bool = True, side: int = 768) -> Subject:
    return pair(photo(), edited, finite=is_finite, side=side)


def evidence(found: Measurement) -> tuple[float, float, float]:
    figures = found.evidence
    return figures["luma_std"], figures["luma_entropy_bits"], figures["spectral_flatness"]


@pytest.mark.parametrize("name", PHOTOS)
def test_photos_pass(name: str) -> None:
    found = collapse(judged(photo(name)))
    assert value(found) > 2


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_field_fails(level: int) -> None:
    found = collapse(judged(flat(level)))
    assert value(found) == 0.0
    assert evidence(found) == (0.0, 0.0, 0.0)


def on_white(content: RGB, share: float) -> RGB:
    """``content`` shrunk to ``share`` of the area of a white page of its size."""
    page = np.full_like(content, 255)
    small = resize(
        content, (int(content.shape[1] * share**0.5), int(content.shape[0] * share**0.5))
    )
    page[20 : 20 + small.shape[0], 20 : 20 + small.shape[1]] = small
    return page


def poster(word: str) -> RGB:
    image = Image.new("RGB", (400, 200), "white")
    ImageDraw.Draw(image).text((120, 70), word, "black", ImageFont.load_default(60))
    return np.asarray(image)


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_a_product_on_white_is_a_picture(share: float) -> None:
    product = on_white(photo(size=(512, 512)), share)
    recoloured = on_white(photo(size=(512, 512))[..., ::-1], share)
    assert value(collapse(pair(product, recoloured))) >= 1
    # The background of a rich photo taken away.
    assert value(collapse(pair(photo(size=(512, 512)), product))) >= 1


def test_black_letters_on_white_are_a_picture() -> None:
    assert value(collapse(pair(poster("SALE"), poster("OPEN")))) >= 1
    assert value(collapse(pair(poster("SALE"), flat(255, (400, 200))))) < 1


def test_an_almost_flat_field_fails() -> None:
    shade = np.clip(128 + np.random.default_rng(0).normal(0, 2, (256, 256, 1)), 0, 255)
    assert value(collapse(judged(shade.astype(np.uint8).repeat(3, axis=2)))) < 1


@pytest.mark.parametrize("size", [(256, 256), (200, 310), (600, 600)])
def test_noise_fails_even_where_it_is_smaller_than_the_original(size: tuple[int, int]) -> None:
    found = collapse(judged(noise(size=size)))
    assert value(found) < 1
    assert evidence(found)[2] > 0.5


def test_an_enlargement_for_the_comparison_does_not_hide_noise() -> None:
    assert value(collapse(pair(photo(size=(512, 512)), noise(size=(256, 256))))) < 1


@given(level=st.integers(1, 60), seed=st.integers(0, 9))
def test_white_noise_has_the_flatness_of_an_exponential_spectrum(level: int, seed: int) -> None:
    # The power of white noise is exponentially distributed: exp(E[log p]) / E[p] = exp(-gamma).
    image = np.random.default_rng(seed).normal(128, level, (128, 128)).astype(np.float32)
    assert spectral_flatness(image) == pytest.approx(np.exp(-np.euler_gamma), abs=0.03)


@given(image=arrays(np.float32, (16, 24), elements=st.integers(0, 255).map(float)))
def test_flatness_and_entropy_stay_in_range(image: np.ndarray) -> None:
    assert 0.0 <= spectral_flatness(image) <= 1.0
    assert 0.0 <= luma_entropy(image) <= 8.0


@given(image=arrays(np.float32, (9, 31), elements=st.integers(0, 255).map(float)))
def test_entropy_is_that_of_scipy(image: np.ndarray) -> None:
    _, counts = np.unique(image, return_counts=True)
    assert luma_entropy(image) == pytest.approx(float(entropy(counts, base=2)), abs=1e-9)


def test_luma_is_bt601() -> None:
    red_green_blue = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    expected = [255 * 0.299, 255 * 0.587, 255 * 0.114]
    assert luma(red_green_blue)[0] == pytest.approx(expected, abs=0.01)


def test_not_finite_fails() -> None:
    assert value(finite(judged(photo(), is_finite=True))) == 1
    assert value(finite(judged(photo(), is_finite=False))) == 0


@pytest.mark.parametrize(("contrast", "passes"), [(0.08, False), (0.3, True)])
def test_what_has_faded_away_fails_however_rich_it_was(contrast: float, passes: bool) -> None:
    rich = np.clip((photo().astype(float) - 128) * 3 + 128, 0, 255).round().astype(np.uint8)
    faded = (128 + contrast * (rich.astype(float) - 128)).round().astype(np.uint8)
    assert luma(faded).std() > 6
    assert (value(collapse(pair(rich, faded))) >= 1) == passes
