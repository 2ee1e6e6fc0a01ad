import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.images.pixels import RGB
from serve_app.quality.registration import align, register
from tests.quality.pictures import PHOTOS, flat, noise, photo, with_square


def moved(original: RGB, scale: float, dx: float, dy: float, degrees: float = 0.0) -> RGB:
    height, width, _ = original.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    matrix[:, 2] += dx, dy
    mirrored: RGB = cv2.warpAffine(
        original, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return mirrored


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(PHOTOS),
    scale=st.floats(0.95, 1.05),
    dx=st.floats(-12, 12),
    dy=st.floats(-12, 12),
    degrees=st.floats(-2, 2),
)
def test_a_known_transform_is_found(
    name: str, scale: float, dx: float, dy: float, degrees: float
) -> None:
    original = photo(name, (512, 384))
    found = register(original, moved(with_square(original), scale, dx, dy, degrees))
    matrix = cv2.getRotationMatrix2D((256, 192), degrees, scale)
    matrix[:, 2] += dx, dy
    corners = np.array([[0, 0, 1], [512, 0, 1], [0, 384, 1], [512, 384, 1]], dtype=float)
    assert found.found
    assert np.abs(corners @ (found.transform - matrix).T).max() < 0.6
    farthest = np.linalg.norm(corners @ matrix.T - corners[:, :2], axis=1).max()
    assert found.drift == pytest.approx(100 * farthest / np.hypot(512, 384), abs=0.1)


@pytest.mark.parametrize("name", PHOTOS)
def test_what_was_not_moved_is_still(name: str) -> None:
    original = photo(name)
    found = register(original, with_square(original))
    assert found.still
    assert found.drift < 0.1
    assert found.inlier_ratio > 0.9


@pytest.mark.parametrize("edited", [flat(), noise(), photo("coffee")])
def test_pictures_without_anything_in_common_have_no_transform(edited: RGB) -> None:
    found = register(photo("astronaut"), edited)
    assert not found.found
    assert np.array_equal(found.transform, np.eye(2, 3))


def test_a_plain_sky_has_no_features() -> None:
    sky = np.linspace(120, 200, 256).astype(np.uint8)[:, None, None].repeat(256, 1).repeat(3, 2)
    found = register(sky, sky)
    assert not found.found
    assert found.matches < 12


def test_aligning_undoes_the_drift_and_tells_where_nothing_is() -> None:
    original = photo(size=(384, 384))
    drifted = moved(original, 1.0, -9.0, 5.0)
    aligned, valid = align(drifted, register(original, drifted).transform)
    inner = (slice(20, -20), slice(20, -20))
    assert np.abs(aligned[inner].astype(int) - original[inner]).mean() < 1.5
    assert not valid[:, :8].any()  # moved out on the left: nothing there to move back
    assert not valid[-4:].any()
    assert valid[:-8, 12:].all()
