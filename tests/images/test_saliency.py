import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.images.masks import Box
from serve_app.images.saliency import saliency, salient_box
from tests.images.scenes import grey, with_thing


@settings(max_examples=20)
@given(width=st.integers(1, 300), height=st.integers(1, 300), seed=st.integers(0, 9))
def test_a_map_of_any_size_lies_between_0_and_1(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = saliency(pixels)
    assert found.shape == (height, width)
    assert found.dtype == np.float32
    assert 0.0 <= found.min() <= found.max() <= 1.0
    assert np.array_equal(found, saliency(pixels))


@pytest.mark.parametrize("size", [(640, 480), (200, 900), (1000, 1000)])
def test_the_thing_stands_out_and_its_box_is_found(size: tuple[int, int]) -> None:
    width, height = size
    box = Box(width // 2, height // 5, width * 3 // 4, height // 2)
    found = saliency(with_thing(width, height, box))
    inside = np.zeros(found.shape, np.bool_)
    inside[box.area] = True
    assert found[inside].mean() > 3 * found[~inside].mean()
    at = salient_box(found)
    assert at is not None
    assert np.abs(np.subtract(at, box)).max() <= 0.03 * max(size)


def test_a_thing_at_the_border_is_found_as_well() -> None:
    box = Box(0, 100, 120, 260)
    at = salient_box(saliency(with_thing(480, 360, box)))
    assert at is not None
    assert np.abs(np.subtract(at, box)).max() <= 15


def test_a_smooth_thing_of_the_same_mean_colour_stands_out_from_texture() -> None:
    pixels = np.random.default_rng(0).normal(128, 40, (300, 400, 1)).repeat(3, axis=2)
    pixels[100:200, 220:320] = 128
    at = salient_box(saliency(pixels.clip(0, 255).astype(np.uint8)))
    assert at is not None
    assert np.abs(np.subtract(at, (220, 100, 320, 200))).max() <= 20


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((200, 300, 3), 90, np.uint8),
        grey(300, 200),
        np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8),
        np.broadcast_to(np.linspace(0, 255, 300)[None, :, None], (200, 300, 3)).astype(np.uint8),
    ],
    ids=["flat", "wall", "noise", "gradient"],
)
def test_nothing_stands_out_where_there_is_nothing(pixels: np.ndarray) -> None:
    assert salient_box(saliency(pixels)) is None


def test_a_box_holds_all_heavy_things_and_no_specks() -> None:
    found = np.zeros((100, 100), np.float32)
    found[10:30, 10:30] = found[60:80, 50:70] = 1.0
    found[95:98, 95:98] = 1.0
    assert salient_box(found) == Box(10, 10, 70, 80)


def test_what_covers_most_of_the_picture_is_no_thing() -> None:
    found = np.ones((100, 100), np.float32)
    found[:20] = 0.0
    assert salient_box(found) is None


def test_a_texture_is_no_thing_but_strong_things_apart_are() -> None:
    found = np.zeros((100, 100), np.float32)
    found[4:14, 4:14] = found[86:96, 86:96] = 1.0
    assert salient_box(found) == Box(4, 4, 96, 96)
    assert salient_box(found * 0.45) is None
