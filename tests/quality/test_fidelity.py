import numpy as np
import pytest
from scipy.ndimage import correlate, gaussian_filter

from serve_app.images.pixels import RGB
from serve_app.quality.fidelity import clarity, laplacian_variance, ssim
from tests.quality.pictures import flat, noise, pair, photo, with_square


def wang(x: np.ndarray, y: np.ndarray) -> float:
    """SSIM as in the paper, written out; the 5-pixel border is left out as there."""

    def mean(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, 1.5, truncate=3.5)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(similarity[5:-5, 5:-5].mean())


@pytest.mark.parametrize("edited", [with_square(photo()), noise(), flat(), photo("coffee")])
def test_ssim_is_that_of_the_paper(edited: RGB) -> None:
    both = pair(photo(), edited)
    expected = wang(both.original_luma.astype(float), both.edited_luma.astype(float))
    assert ssim(both).value == pytest.approx(expected, abs=1e-3)


def test_a_copy_has_ssim_one() -> None:
    assert ssim(pair(photo(), photo())).value == pytest.approx(1.0)


def test_a_picture_smaller_than_the_window_has_no_ssim() -> None:
    found = ssim(pair(photo(size=(100, 10)), photo(size=(100, 10))))
    assert found.value is None
    assert "shorter" in found.evidence["reason"]


def test_clarity_falls_with_blur() -> None:
    blurred = gaussian_filter(photo(), (2, 2, 0))
    sharp, soft = clarity(pair(photo(), photo())), clarity(pair(photo(), blurred))
    assert sharp.value == pytest.approx(1.0)
    assert soft.value is not None
    assert soft.value < 0.2


def test_clarity_of_a_flat_original_is_undefined() -> None:
    assert clarity(pair(flat(), photo())).value is None


def test_laplacian_variance_is_that_of_its_kernel() -> None:
    image = pair(photo(), photo()).original_luma
    kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    expected = correlate(image.astype(float), kernel, mode="mirror").var()
    assert laplacian_variance(image) == pytest.approx(expected, rel=1e-4)
