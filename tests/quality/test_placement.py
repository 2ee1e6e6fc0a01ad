import numpy as np
import pytest

from serve_app.quality.placement import drift, structure
from tests.quality.pictures import PHOTOS, flat, pair, photo, value, with_square
from tests.quality.test_registration import moved


@pytest.mark.parametrize("percent", [1, 2, 4])
def test_a_zoom_moves_the_corners_by_half_of_it(percent: int) -> None:
    original = photo(size=(512, 512))
    found = drift(pair(original, moved(original, 1 + percent / 100, 0, 0)))
    assert value(found) == pytest.approx(percent / 2, abs=0.05)
    assert found.evidence["scale"] == pytest.approx(1 + percent / 100, abs=0.001)


def test_a_shift_is_told_in_pixels_of_the_original() -> None:
    original = photo(size=(1536, 1536))
    found = drift(pair(original, np.roll(original, 12, axis=1)))
    assert found.evidence["shift_px"] == pytest.approx([12, 0], abs=0.2)
    assert value(found) == pytest.approx(100 * 12 / np.hypot(1536, 1536), abs=0.03)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_local_edit_does_not_drift(name: str) -> None:
    both = pair(photo(name), with_square(photo(name)))
    assert value(drift(both)) < 0.1
    assert value(structure(both)) > 0.9


def test_swapped_quarters_have_no_structure() -> None:
    original = photo(size=(512, 512))
    mixed = np.concatenate([original[256:], original[:256]])
    mixed[:, :256] = original[:, 256:][::-1]
    assert value(structure(pair(original, mixed))) < 0.8


def test_without_features_nothing_is_said() -> None:
    both = pair(flat(), flat(130))
    for check in (drift, structure):
        assert check(both).value is None
        assert check(both).status == "unsupported"
