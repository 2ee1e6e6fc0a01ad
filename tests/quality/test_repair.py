import numpy as np
import pytest

from serve_app.config import QualityConfig
from serve_app.edits.request import EditType
from serve_app.images.compositing import dilated, feather_radius
from serve_app.quality.case import Case
from serve_app.quality.repair import Repair, mend
from serve_app.quality.validator import Validator
from tests.quality.pictures import flat, photo, with_square
from tests.quality.test_registration import moved

VALIDATOR = Validator(QualityConfig())
SIZE = (512, 512)


def case(edited: np.ndarray, mask: np.ndarray | None = None) -> Case:
    return Case(photo(size=SIZE), edited, EditType.APPEARANCE, mask=mask)


def test_drift_is_warped_back() -> None:
    good = with_square(photo(size=SIZE))
    found = mend(VALIDATOR, case(moved(good, 1.03, 5, -3)))
    assert "drift" in found.first.failed
    assert found.repairs == (Repair.DRIFT_WARPED_BACK,)
    assert found.report.failed == ()
    assert found.pixels is not None
    inner = (slice(30, -30), slice(30, -30))
    assert np.abs(found.pixels[inner].astype(int) - good[inner]).mean() < 3


def test_a_cast_is_matched() -> None:
    cast = np.clip(photo(size=SIZE) + np.array([22, 4, -14]), 0, 255).astype(np.uint8)
    found = mend(VALIDATOR, case(with_square(cast)))
    assert "cast" in found.first.failed
    assert found.repairs == (Repair.CAST_MATCHED,)
    assert found.report.failed == ()


def test_spill_is_replaced_by_the_original_bit_for_bit() -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[50:120, 60:130] = True
    spilt = with_square(photo(size=SIZE))
    spilt[300:460, 300:460] = 40
    found = mend(VALIDATOR, case(spilt, mask))
    assert "outside_mask" in found.first.failed
    assert found.repairs == (Repair.SPILL_COMPOSITED,)
    assert found.report.failed == ()
    assert found.pixels is not None
    protected = ~dilated(mask, feather_radius(*SIZE))
    assert np.array_equal(found.pixels[protected], photo(size=SIZE)[protected])
    assert (found.pixels[70:90, 80:100] == [255, 0, 0]).all()


@pytest.mark.parametrize("edited", [with_square(photo(size=SIZE)), flat(90, SIZE)])
def test_what_needs_none_or_can_not_be_mended_is_left(edited: np.ndarray) -> None:
    found = mend(VALIDATOR, case(edited))
    assert found.repairs == ()
    assert found.pixels is None
    assert found.report is found.first


def test_a_result_of_another_size_stays_as_it_was_asked_for() -> None:
    larger = moved(with_square(photo(size=(600, 600))), 1.03, 5, 5)
    assert mend(VALIDATOR, case(larger)).pixels is None
