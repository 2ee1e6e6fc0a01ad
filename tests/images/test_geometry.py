import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data
from skimage.registration import phase_cross_correlation

from serve_app.images.geometry import SAME_AREA, Canvas, resize, scaled_to_area
from serve_app.images.pixels import RGB

AREAS = st.sampled_from([32 * 32, 64 * 64, 256 * 256, 1024 * 1024])
SIDES = st.integers(32, 4000)


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    """Sizes that the limits let through: no side over ten times the other."""
    width = draw(SIDES)
    height = draw(st.integers(max(32, math.ceil(width / 10)), min(4000, width * 10)))
    return width, height


def noise(width: int, height: int) -> RGB:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(size=sizes(), area=AREAS, multiple=st.sampled_from([16, 32]))
def test_a_canvas_is_on_the_grid_and_holds_its_content(
    size: tuple[int, int], area: int, multiple: int
) -> None:
    for canvas in (Canvas.fit(*size, area, multiple), Canvas.native(*size, area, multiple)):
        assert canvas.width % multiple == canvas.height % multiple == 0
        assert 1 <= canvas.content_width <= canvas.width
        assert 1 <= canvas.content_height <= canvas.height
        assert canvas.width - canvas.content_width < multiple
        assert canvas.height - canvas.content_height < multiple
        assert canvas.source_size == size


@given(size=sizes(), area=AREAS)
def test_both_axes_have_one_scale(size: tuple[int, int], area: int) -> None:
    canvas = Canvas.fit(*size, area)
    if abs(size[0] * size[1] - area) <= SAME_AREA * area:
        scale = 1.0
    else:
        scale = math.sqrt(area / (size[0] * size[1]))
    assert abs(canvas.content_width - size[0] * scale) <= 0.5
    assert abs(canvas.content_height - size[1] * scale) <= 0.5


@settings(max_examples=30, deadline=None)
@given(width=st.integers(32, 200), height=st.integers(32, 200), off=st.floats(0.88, 1.14))
def test_without_resampling_the_round_trip_is_exact(width: int, height: int, off: float) -> None:
    canvas = Canvas.fit(width, height, round(width * height / off))
    pixels = noise(width, height)
    placed = canvas.place(pixels)
    assert placed.shape == (canvas.height, canvas.width, 3)
    assert np.array_equal(placed[:height, :width], pixels)
    assert np.array_equal(canvas.restore(placed, (width, height)), pixels)


@settings(max_examples=30, deadline=None)
@given(size=sizes(), native=st.booleans(), out=st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_the_size_is_always_exact(
    size: tuple[int, int], native: bool, out: tuple[int, int]
) -> None:
    width, height = size[0] // 8 + 1, size[1] // 8 + 1
    make = Canvas.native if native else Canvas.fit
    canvas = make(width, height, 64 * 64)
    placed = canvas.place(noise(width, height))
    assert placed.shape == (*canvas.size[::-1], 3)
    assert canvas.restore(placed, out).shape == (out[1], out[0], 3)
    assert canvas.restore(placed, canvas.source_size).shape == (height, width, 3)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
@pytest.mark.parametrize("area", [200 * 200, 384 * 384, 700 * 700])
def test_the_round_trip_does_not_shift_a_photo(name: str, area: int) -> None:
    photo: RGB = getattr(data, name)()
    canvas = Canvas.fit(photo.shape[1], photo.shape[0], area)
    back = canvas.restore(canvas.place(photo), canvas.source_size)
    shift, _, _ = phase_cross_correlation(photo.mean(axis=2), back.mean(axis=2), upsample_factor=50)
    assert np.abs(shift).max() < 0.5


def test_the_border_repeats_the_edge() -> None:
    canvas = Canvas.fit(40, 33, 40 * 33)
    placed = canvas.place(noise(40, 33))
    assert canvas.size == (64, 64)
    assert np.array_equal(placed[:33, 40:], np.repeat(placed[:33, 39:40], 24, axis=1))
    assert np.array_equal(placed[33:], np.repeat(placed[32:33], 31, axis=0))


@given(size=sizes(), area=AREAS)
def test_the_native_canvas_is_that_of_diffusers(size: tuple[int, int], area: int) -> None:
    # calculate_dimensions of pipeline_qwenimage_edit_plus.py, diffusers 0.42.
    ratio = size[0] / size[1]
    width = math.sqrt(area * ratio)
    height = width / ratio
    expected = (max(32, round(width / 32) * 32), max(32, round(height / 32) * 32))
    assert scaled_to_area(*size, area) == expected
    assert Canvas.native(*size, area).size == expected


def test_the_native_canvas_is_returned_whole() -> None:
    canvas = Canvas.native(600, 400, 256 * 256)
    pixels = noise(*canvas.size)
    assert np.array_equal(canvas.restore(pixels, canvas.size), pixels)


def test_other_sizes_than_promised_are_refused() -> None:
    canvas = Canvas.fit(40, 33, 40 * 33)
    with pytest.raises(ValueError, match="40x33"):
        canvas.place(noise(33, 40))
    with pytest.raises(ValueError, match="64x64"):
        canvas.restore(noise(40, 33), (40, 33))
    with pytest.raises(ValueError, match="at least 1"):
        Canvas.fit(0, 10, 100)


def test_an_equal_size_is_not_resampled() -> None:
    pixels = noise(5, 7)
    assert resize(pixels, (5, 7)) is pixels
