import colorsys

import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2lab

from serve_app.images.pixels import RGB
from serve_app.quality.colour import cast, oversaturation
from tests.quality.pictures import PHOTOS, pair, photo, value, with_square


def shifted(original: RGB, by: tuple[float, float, float]) -> RGB:
    return (lab2rgb(rgb2lab(original) + np.array(by)) * 255).round().astype(np.uint8)


def saturated(original: RGB, factor: float) -> RGB:
    lab = rgb2lab(original)
    lab[..., 1:] *= factor
    return (lab2rgb(lab) * 255).round().astype(np.uint8)


@pytest.mark.filterwarnings("ignore:.*negative Z values.*")
@pytest.mark.parametrize("by", [(0, 4, 0), (5, 0, 0), (0, 3, -6)])
def test_a_cast_is_the_shift_in_lab_beside_the_edit(by: tuple[float, float, float]) -> None:
    original = photo("coffee")
    found = cast(pair(original, with_square(shifted(original, by))))
    # Colours at the edge of sRGB can't move: the median of all is a little less.
    assert value(found) == pytest.approx(float(np.linalg.norm(by)), abs=1.2)
    assert found.evidence["lab_shift"] == pytest.approx(by, abs=1.2)


@pytest.mark.parametrize("name", PHOTOS)
def test_an_edit_casts_nothing_on_the_rest(name: str) -> None:
    assert value(cast(pair(photo(name), with_square(photo(name))))) < 0.5


@pytest.mark.filterwarnings("ignore:.*negative Z values.*")
def test_too_much_colour() -> None:
    original = photo("coffee")
    values = [value(oversaturation(pair(original, saturated(original, k)))) for k in (1, 1.5, 2.5)]
    assert values[0] == 0
    assert values[0] <= values[1] < values[2]
    assert values[2] > 1


def test_one_colourful_thing_is_not_too_much() -> None:
    red = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(0, 1, 1))
    assert value(oversaturation(pair(photo(), with_square(photo(), 50, red)))) < 1
