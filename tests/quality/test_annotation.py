import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serve_app.config import QualityConfig
from serve_app.edits.request import EditType
from serve_app.quality.annotation import annotated, judge
from serve_app.quality.case import Case
from serve_app.quality.report import Check, CheckStatus, Report, Verdict
from serve_app.quality.validator import Validator
from tests.quality.pictures import flat, photo, with_square

BOXES = {"boxes": [[100, 100, 200, 200]]}
FAILED = Report(
    Verdict.FAIL,
    0.5,
    ("Far too much changed.",),
    (Check("over_edit", CheckStatus.FAIL, 0.9, 0.3, "at_most", BOXES),),
)
PASSED = Report(Verdict.PASS, 1.0, (), ())
DIMENSION = st.integers(1, 1500)


@settings(max_examples=15, deadline=None)
@given(
    original=st.tuples(DIMENSION, DIMENSION),
    edited=st.tuples(DIMENSION, DIMENSION),
    report=st.sampled_from([FAILED, PASSED]),
)
def test_any_sizes_make_a_page_of_bounded_size(
    original: tuple[int, int], edited: tuple[int, int], report: Report
) -> None:
    delta_e = np.full((20, 30), 12, np.float32)
    page = annotated(flat(90, original), flat(120, edited), delta_e, report)
    assert page.dtype == np.uint8
    assert page.shape[2] == 3
    assert 900 <= page.shape[1] <= 1600
    assert page.shape[0] <= 800


def red(page: np.ndarray) -> int:
    return int(((page[..., 0] > 200) & (page[..., 1] < 60) & (page[..., 2] < 60)).sum())


def test_a_failed_check_is_boxed_where_it_failed() -> None:
    original, delta_e = flat(128, (480, 480)), np.zeros((480, 480), np.float32)
    plain = annotated(original, original, delta_e, PASSED)
    boxed = annotated(original, original, delta_e, FAILED)
    assert red(boxed) > red(plain) + 4 * 100


def test_boxes_follow_what_has_moved() -> None:
    """The box is of the original; in the edited picture its contents lie 200 pixels lower."""
    original, delta_e = flat(128, (480, 480)), np.zeros((480, 480), np.float32)
    moved = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 200.0]])
    page = annotated(original, original, delta_e, FAILED, moved)
    panel = page[84 : 84 + 480, 24 + 480 + 16 :][:, :480]
    assert red(panel[:280]) == 0
    assert red(panel[280:]) > 4 * 100


@pytest.mark.parametrize("size", [(480, 480), (48, 480)])
def test_reasons_and_figures_stay_on_the_page(size: tuple[int, int]) -> None:
    checks = tuple(Check("over_edit", CheckStatus.WARN, 0.9, 0.3, "at_most") for _ in range(20))
    report = Report(Verdict.FAIL, 0.5, ("Far too much changed here. " * 20,), checks)
    page = annotated(flat(90, size), flat(120, size), np.zeros((8, 8), np.float32), report)
    assert np.ptp(page[:, -20:].reshape(-1, 3), axis=0).max() == 0
    assert np.ptp(page[-20:].reshape(-1, 3), axis=0).max() == 0


def test_the_map_is_bright_where_it_changed() -> None:
    delta_e = np.zeros((480, 480), np.float32)
    delta_e[100:200, 100:200] = 60
    page = annotated(flat(128, (480, 480)), flat(128, (480, 480)), delta_e, PASSED)
    panel = page[84 : 84 + 480, -(480 + 24) : -24].astype(int).sum(axis=2)
    assert panel[110:190, 110:190].mean() > 1.5 * panel[300:, 300:].mean()


@pytest.mark.parametrize("picture", [True, False])
def test_the_picture_is_drawn_only_if_it_is_wanted(picture: bool) -> None:
    case = Case(photo(), with_square(photo()), EditType.APPEARANCE)
    validator = Validator(QualityConfig())
    judged = judge(validator, case, picture)
    assert judged.report == validator.judge(case)
    assert (judged.picture is not None) is picture
    if judged.picture is not None:
        assert Image.open(io.BytesIO(judged.picture)).format == "PNG"
