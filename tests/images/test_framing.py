import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from benchmarks.smart_crop import holds
from serve_app.images.framing import Fit, Frame, crop_box, fitted, framed
from serve_app.images.geometry import resize
from serve_app.images.masks import Box
from tests.images.scenes import grey, with_thing

SIDE = st.one_of(st.integers(1, 48), st.sampled_from([97, 250, 400]))
ASPECT = st.one_of(st.integers(1, 40), st.sampled_from([600, 1080, 1200, 1920]))
EXTREME = [(1, 1000), (1000, 1), (32, 32), (1, 1), (3, 700)]
STORY, CARD, SQUARE = (1080, 1920), (1200, 630), (1080, 1080)


@settings(max_examples=60)
@given(size=st.tuples(SIDE, SIDE), aspect=st.tuples(ASPECT, ASPECT))
def test_a_crop_is_the_largest_box_of_its_aspect(
    size: tuple[int, int], aspect: tuple[int, int]
) -> None:
    width, height = size
    pixels = grey(width, height)
    box = crop_box(pixels, *aspect)
    across, down = box.right - box.left, box.bottom - box.top
    assert holds(Box(0, 0, width, height), box)
    assert across == width or down == height
    ratio = aspect[0] / aspect[1]
    assert abs(across - down * ratio) <= max(0.5, 0.5 * ratio) or min(across, down) == 1
    assert box == crop_box(pixels, *aspect)


@settings(max_examples=40)
@given(size=st.tuples(SIDE, SIDE), aspect=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_a_padded_picture_lies_whole_on_its_canvas(
    size: tuple[int, int], aspect: tuple[int, int]
) -> None:
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    made = framed(pixels, Frame(*aspect, Fit.PAD))
    tall, wide, _ = made.pixels.shape
    assert np.array_equal(made.pixels[made.box.area], pixels)
    ratio = aspect[0] / aspect[1]
    assert abs(wide - tall * ratio) <= max(0.5, 0.5 * ratio) + 1e-9
    assert wide == width or tall == height


@settings(max_examples=40)
@given(
    size=st.one_of(st.tuples(SIDE, SIDE), st.sampled_from(EXTREME)),
    target=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    fit=st.sampled_from(list(Fit)),
)
def test_a_fitted_picture_has_exactly_the_size(
    size: tuple[int, int], target: tuple[int, int], fit: Fit
) -> None:
    pixels = grey(*size)
    made = fitted(pixels, *target, fit)
    assert made.shape == (target[1], target[0], 3)
    assert made.dtype == np.uint8
    assert np.array_equal(made, fitted(pixels, *target, fit))


def test_padding_before_or_after_shrinking_comes_to_the_same() -> None:
    pixels = data.coffee()
    large = framed(pixels, Frame(*STORY, Fit.PAD)).pixels
    small = fitted(pixels, 270, 480, Fit.PAD)
    difference = np.abs(resize(large, (270, 480)).astype(int) - small)
    assert difference.mean() < 3
    assert np.quantile(difference, 0.99) < 20


@pytest.mark.parametrize("target", [STORY, CARD, SQUARE, (600, 400)])
@pytest.mark.parametrize("fit", list(Fit))
def test_a_circle_stays_a_circle(target: tuple[int, int], fit: Fit) -> None:
    rows, columns = np.mgrid[:480, :640]
    pixels = grey(640, 480)
    pixels[np.hypot(rows - 240, columns - 360) < 90] = (210, 20, 20)
    made = fitted(pixels, *target, fit).astype(int)
    red = made[..., 0] - made[..., 1] > 150  # its blurred mirror image is paler
    width, height = np.ptp(np.nonzero(red)[1]) + 1, np.ptp(np.nonzero(red)[0]) + 1
    assert abs(width / height - 1) < 0.02


@settings(max_examples=25)
@given(left=st.integers(0, 500), top=st.integers(0, 320), wide=st.integers(60, 140))
def test_a_crop_holds_the_thing_whole(left: int, top: int, wide: int) -> None:
    thing = Box(left, top, left + wide, top + 160)
    pixels = with_thing(640, 480, thing)
    for target in (STORY, CARD, SQUARE):
        assert holds(crop_box(pixels, *target), thing)


def test_a_thing_that_can_be_in_the_middle_is() -> None:
    box = crop_box(with_thing(800, 400, Box(420, 150, 520, 250)), 1, 1)
    assert abs((box.left + box.right) / 2 - 470) < 20


def test_a_crop_of_a_picture_without_a_thing_is_central() -> None:
    assert crop_box(grey(800, 400), 1, 1) == Box(200, 0, 600, 400)


def test_auto_crops_where_the_thing_fits_and_pads_where_it_does_not() -> None:
    wide = with_thing(640, 480, Box(60, 180, 560, 300))
    assert framed(wide, Frame(*CARD)).how is Fit.CROP
    made = framed(wide, Frame(*STORY))
    assert made.how is Fit.PAD
    assert np.array_equal(made.pixels[made.box.area], wide)


def test_auto_pads_a_picture_without_a_thing_only_if_a_crop_kept_less_than_half() -> None:
    assert framed(grey(600, 400), Frame(1, 1)).how is Fit.CROP
    assert framed(grey(600, 400), Frame(*STORY)).how is Fit.PAD


@pytest.mark.parametrize("fit", list(Fit))
def test_a_picture_of_the_aspect_comes_back_as_it_is(fit: Fit) -> None:
    pixels = grey(300, 200)
    made = framed(pixels, Frame(600, 400, fit))
    assert made.box == Box(0, 0, 300, 200)
    assert np.array_equal(made.pixels, pixels)


def test_a_crop_is_not_resampled() -> None:
    pixels = data.astronaut()
    made = framed(pixels, Frame(*STORY, Fit.CROP))
    assert np.array_equal(made.pixels, pixels[made.box.area])


def test_the_continuation_has_no_seam_and_less_detail_outwards() -> None:
    pixels = data.coffee()
    made = framed(pixels, Frame(*STORY, Fit.PAD))
    canvas = made.pixels.astype(float)
    steps = np.abs(np.diff(canvas, axis=0)).mean(axis=(1, 2))
    within = steps[made.box.top : made.box.bottom - 1]
    assert steps[made.box.top - 1] <= within.max()
    assert steps[made.box.bottom - 1] <= within.max()
    across = np.abs(np.diff(canvas, axis=1)).mean(axis=(1, 2))
    assert across[: made.box.top // 2].mean() < 0.25 * across[made.box.top :][:50].mean()


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (-2, 5)])
def test_lengths_below_1_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Frame(*size)
    with pytest.raises(ValueError, match="at least 1"):
        crop_box(grey(10, 10), *size)
