import cv2
import numpy as np
import pytest

from serve_app.config import QualityConfig
from serve_app.images.pixels import RGB
from serve_app.quality.decay import decay, lay_over
from tests.quality.pictures import photo, with_square

CONFIG = QualityConfig()


def moved(pixels: RGB, scale: float, dx: float, dy: float) -> RGB:
    height, width, _ = pixels.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0.0, scale)
    matrix[:, 2] += dx, dy
    result: RGB = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return result


def test_a_picture_has_not_decayed_from_itself() -> None:
    first = photo("astronaut")
    found = decay(first, first, CONFIG)
    assert found.drift == 0.0
    assert found.sharpness == pytest.approx(1.0)
    assert found.cast == pytest.approx(0.0)


def test_how_far_it_has_moved_how_much_it_is_blurred_and_tinted() -> None:
    first = photo("astronaut", (640, 480))
    found = decay(first, moved(first, 1.01, 3.0, 0.0), CONFIG)
    # A zoom by 1 % takes corners away by half of it, of the diagonal of 800 pixels.
    farthest = np.hypot(3.2 + 3.0, 2.4)
    assert found.drift == pytest.approx(100 * farthest / 800, abs=0.05)
    assert found.scale == pytest.approx(1.01, abs=0.001)
    blurred = decay(first, cv2.GaussianBlur(first, (0, 0), 1.5), CONFIG)
    assert blurred.sharpness is not None
    assert blurred.sharpness < 0.4
    tinted = decay(first, (first * [1.0, 0.92, 0.85]).astype(np.uint8), CONFIG)
    assert tinted.cast is not None
    assert tinted.cast > 2.3


@pytest.mark.parametrize("size", [(640, 640), (480, 640)])
def test_another_shape_can_not_be_told(size: tuple[int, int]) -> None:
    found = decay(photo("coffee", (640, 480)), photo("coffee", size), CONFIG)
    assert found.to_json() == {
        "percent": None,
        "shift_px": None,
        "scale": None,
        "sharpness": None,
        "cast": None,
    }


def test_what_has_moved_is_laid_back() -> None:
    first = photo("astronaut", (640, 480))
    edited = moved(with_square(first), 1.008, 2.0, -3.0)
    laid = lay_over(first, edited, CONFIG)
    assert laid.picture is not None
    assert not laid.reframed
    before, after = decay(first, edited, CONFIG).drift, decay(first, laid.picture, CONFIG).drift
    assert before is not None
    assert after is not None
    assert after <= 0.1 * before
    # The edit itself is still there, and the rim is the original's.
    assert np.array_equal(laid.picture[:, 0], first[:, 0]) or after == 0.0
    assert np.abs(laid.picture.astype(int) - with_square(first)).mean() < 3.0


def test_what_lies_there_already_is_left_alone() -> None:
    first = photo("astronaut", (640, 480))
    laid = lay_over(first, with_square(first), CONFIG)
    assert laid.picture is None
    assert not laid.reframed


@pytest.mark.parametrize(
    "picture",
    [photo("coffee", (640, 480)), moved(photo("astronaut", (640, 480)), 1.2, 0, 0)],
    ids=["another", "zoomed in"],
)
def test_another_picture_or_viewpoint_is_not_laid_back(picture: RGB) -> None:
    laid = lay_over(photo("astronaut", (640, 480)), picture, CONFIG)
    assert laid.picture is None
    assert laid.reframed
