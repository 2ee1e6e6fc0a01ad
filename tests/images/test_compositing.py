"""The feather, and pixels that stay bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from serve_app.images.compositing import composite, dilated, fade, feather_radius
from serve_app.images.masks import Box, Editable, from_box
from serve_app.images.pixels import RGB
from tests.conftest import PHOTOS, photo
from tests.images.drawn_masks import masks, seeds


def noise(height: int, width: int, seed: int = 0) -> RGB:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def distances(editable: Editable) -> NDArray[np.float64]:
    """Far from everything where nothing is editable, which scipy leaves undefined."""
    if not editable.any():
        return np.full(editable.shape, np.inf)
    return np.asarray(distance_transform_edt(~editable))


# The feather


def test_the_feather_grows_with_the_image_and_never_vanishes() -> None:
    assert feather_radius(1024, 768) == feather_radius(768, 1024) == 16
    assert feather_radius(4000, 3000) == 62.5
    assert feather_radius(1, 1) == feather_radius(128, 128) == 2


@settings(deadline=None)
@given(editable=masks(), radius=st.floats(1, 30))
def test_a_dilated_mask_is_all_that_lies_within_the_radius(
    editable: Editable, radius: float
) -> None:
    distance = distances(editable)
    # Single precision may round a distance onto the radius, so pixels right there are free.
    clear = abs(distance - radius) > 1e-5
    assert np.array_equal(dilated(editable, radius)[clear], (distance <= radius)[clear])


def test_the_radius_itself_belongs_to_the_dilated_mask() -> None:
    dot = from_box(Box(5, 5, 6, 6), 11, 11)
    grown = dilated(dot, 5.0)
    assert grown[5, 0]
    assert grown[1, 2]  # 3, 4, 5
    assert not grown[0, 4]


@pytest.mark.parametrize("side", [511, 512, 513, 1100])
def test_large_masks_are_dilated_without_seams(side: int) -> None:
    """Large images are worked through in parts; nothing may show where they meet."""
    editable = np.random.default_rng(side).random((side, 700)) < 2e-4
    expected = distance_transform_edt(~editable) <= 17.5
    assert np.array_equal(dilated(editable, 17.5), expected)


@given(radius=st.floats(1, 100))
def test_the_weight_falls_from_exactly_one_to_exactly_zero(radius: float) -> None:
    distance = np.linspace(0, 2 * radius, 301, dtype=np.float32)
    weight = fade(distance, radius)
    assert weight[0] == 1
    assert np.all(weight[distance >= np.float32(radius)] == 0)
    assert np.all(np.diff(weight) <= 0)
    half = fade(np.array([radius / 2], dtype=np.float32), radius)
    np.testing.assert_allclose(half, 0.5, atol=1e-5)
    # Level at both ends: a hundredth of the way changes the weight by far less.
    ends = fade(np.array([0.01, 0.99], dtype=np.float32) * np.float32(radius), radius)
    np.testing.assert_allclose(ends, [1, 0], atol=1e-3)


# Putting pictures together


def assert_kept(original: RGB, edited: RGB, editable: Editable, radius: float) -> None:
    result = composite(original, edited, editable, radius)
    assert np.array_equal(result[editable], edited[editable])
    outside = ~dilated(editable, radius)
    assert np.array_equal(result[outside], original[outside])
    low, high = np.minimum(original, edited), np.maximum(original, edited)
    assert np.all((low <= result) & (result <= high))


@settings(deadline=None)
@given(editable=masks(), seed=seeds, radius=st.floats(1, 30))
def test_inside_is_the_edit_outside_the_original_bit_for_bit(
    editable: Editable, seed: int, radius: float
) -> None:
    height, width = editable.shape
    assert_kept(noise(height, width, seed), noise(height, width, seed + 1), editable, radius)


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(PHOTOS),
    width=st.sampled_from([1, 64, 333, 512, 641]),
    height=st.sampled_from([1, 97, 512, 515]),
    density=st.floats(0, 1),
    cell=st.integers(1, 200),
    seed=seeds,
)
def test_photos_keep_what_is_outside_of_random_masks(
    name: str, width: int, height: int, density: float, cell: int, seed: int
) -> None:
    coarse = np.random.default_rng(seed).random((height // cell + 1, width // cell + 1)) < density
    editable = coarse.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]
    original = photo(name, (width, height))
    assert_kept(original, 255 - original, editable, feather_radius(width, height))


@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (40, 31), (600, 530)])
def test_one_pixel_in_a_corner_is_enough(shape: tuple[int, int], corner: tuple[int, int]) -> None:
    editable = np.zeros(shape, dtype=np.bool_)
    editable[corner] = True
    assert_kept(noise(*shape, seed=1), noise(*shape, seed=2), editable, 2.0)


@pytest.mark.parametrize("shape", [(7, 5), (520, 1030)])
def test_a_full_mask_is_the_edit_and_an_empty_one_the_original(shape: tuple[int, int]) -> None:
    original, edited = noise(*shape, seed=1), noise(*shape, seed=2)
    everything, nothing = np.ones(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    assert np.array_equal(composite(original, edited, everything, 8), edited)
    assert np.array_equal(composite(original, edited, nothing, 8), original)


def test_the_rim_is_mixed_by_the_weight_of_its_distance() -> None:
    editable = np.zeros((1, 8), dtype=np.bool_)
    editable[0, 0] = True
    black, white = np.zeros((1, 8, 3), dtype=np.uint8), np.full((1, 8, 3), 255, dtype=np.uint8)
    # 3t^2 - 2t^3 at t = 1, 3/4, 1/2, 1/4, 0: 1, 27/32, 1/2, 5/32, 0; halves go to the even.
    expected = [255, 215, 128, 40, 0, 0, 0, 0]
    assert composite(black, white, editable, 4.0)[0, :, 1].tolist() == expected


def test_neither_picture_is_touched() -> None:
    original, edited = noise(30, 40, 1), noise(30, 40, 2)
    for pixels in (original, edited):
        pixels.setflags(write=False)
    result = composite(original, edited, from_box(Box(5, 5, 20, 20), 40, 30), 4.0)
    assert not np.shares_memory(result, original)
    assert not np.shares_memory(result, edited)


def test_pictures_of_other_sizes_are_refused() -> None:
    editable = np.ones((6, 8), dtype=np.bool_)
    with pytest.raises(ValueError, match="one size"):
        composite(noise(6, 8), noise(6, 9), editable, 2.0)
    with pytest.raises(ValueError, match="one size"):
        composite(noise(8, 6), noise(8, 6), editable, 2.0)
