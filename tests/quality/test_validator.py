import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.config import CheckLimits, QualityConfig
from serve_app.edits.request import EditType
from serve_app.quality.case import Case
from serve_app.quality.measurement import Measurement
from serve_app.quality.opinion import Answer, Opinion
from serve_app.quality.report import CheckStatus, Report, Verdict
from serve_app.quality.table import Rule
from serve_app.quality.validator import Validator
from tests.quality.pictures import PHOTOS, flat, noise, photo, with_square

VALIDATOR = Validator(QualityConfig())


def status(report: Report, name: str) -> CheckStatus:
    return next(check.status for check in report.checks if check.name == name)


@pytest.mark.parametrize("edit_type", list(EditType))
@pytest.mark.parametrize("name", PHOTOS)
def test_a_good_edit_is_unverified_without_a_judge(name: str, edit_type: EditType) -> None:
    report = VALIDATOR.judge(Case(photo(name), with_square(photo(name)), edit_type))
    assert report.verdict is Verdict.PASS_UNVERIFIED
    assert 0.7 < report.coverage < 1
    assert any("instruction" in reason for reason in report.reasons)
    assert status(report, "instruction") is CheckStatus.SKIPPED
    assert status(report, "ssim") is CheckStatus.INFO


@pytest.mark.parametrize("edit_type", list(EditType))
@pytest.mark.parametrize("edited", [flat(0), flat(128), noise()], ids=["black", "grey", "noise"])
def test_a_collapsed_result_fails(edited: np.ndarray, edit_type: EditType) -> None:
    report = VALIDATOR.judge(Case(photo(), edited, edit_type))
    assert report.verdict is Verdict.FAIL
    assert report.failed[0] == "collapse"
    assert report.reasons[0].startswith("The result is almost one flat colour")


def test_numbers_that_overflowed_fail_first() -> None:
    report = VALIDATOR.judge(Case(photo(), flat(0), EditType.SEMANTIC, finite=False))
    assert report.failed[0] == "finite"
    assert "overflowed" in report.reasons[0]


@pytest.mark.parametrize(
    ("edit_type", "verdict", "no_op"),
    [
        (EditType.APPEARANCE, Verdict.FAIL, CheckStatus.FAIL),
        (EditType.SEMANTIC, Verdict.FAIL, CheckStatus.FAIL),
        (EditType.HYBRID, Verdict.FAIL, CheckStatus.FAIL),
        (EditType.TEXT, Verdict.PASS_UNVERIFIED, CheckStatus.WARN),
    ],
)
def test_an_unchanged_result(edit_type: EditType, verdict: Verdict, no_op: CheckStatus) -> None:
    report = VALIDATOR.judge(Case(photo(), photo(), edit_type))
    assert report.verdict is verdict
    assert status(report, "no_op") is no_op
    assert report.reasons[0].startswith("The result is the same as the original")


@pytest.mark.parametrize("edit_type", list(EditType))
@pytest.mark.parametrize(
    ("score", "verdict"), [(0.9, Verdict.PASS), (0.6, Verdict.PASS), (0.3, Verdict.FAIL)]
)
def test_a_judge_decides_whether_the_instruction_was_followed(
    score: float, verdict: Verdict, edit_type: EditType
) -> None:
    opinion = Opinion("named", score, 0.6, (Answer("Is there a red square?", score),))
    case = Case(photo(), with_square(photo()), edit_type, opinion=opinion)
    report = VALIDATOR.judge(case)
    assert report.verdict is verdict
    evidence = report.check("instruction").evidence  # type: ignore[union-attr]
    assert evidence["judge"] == "named"
    assert evidence["answers"] == {"Is there a red square?": score}


def one_rule(cell: CheckLimits, value: float | None = 5.0, **options: object) -> Report:
    rule = Rule(
        "one",
        lambda _: Measurement.skipped("it is away") if value is None else Measurement(value),
        options.get("direction", "at_most"),  # type: ignore[arg-type]
        {EditType.TEXT: cell},
        "One.",
    )
    return Validator(QualityConfig(), table=[rule]).judge(Case(photo(), photo(), EditType.TEXT))


@pytest.mark.parametrize(
    ("cell", "expected", "threshold"),
    [
        (CheckLimits(warn=6, fail=9), CheckStatus.PASS, 9),
        (CheckLimits(warn=4, fail=9), CheckStatus.WARN, 4),
        (CheckLimits(warn=2, fail=4), CheckStatus.FAIL, 4),
        (CheckLimits(fail=5), CheckStatus.PASS, 5),
        (CheckLimits(warn=4), CheckStatus.WARN, 4),
        (CheckLimits(), CheckStatus.INFO, None),
    ],
)
def test_a_cell_of_the_table_decides(
    cell: CheckLimits, expected: CheckStatus, threshold: float | None
) -> None:
    (check,) = one_rule(cell).checks
    assert (check.status, check.threshold) == (expected, threshold)


def test_at_least_is_the_other_way_round() -> None:
    (check,) = one_rule(CheckLimits(fail=6), direction="at_least").checks
    assert check.status is CheckStatus.FAIL


def test_what_was_not_measured_is_skipped_and_lowers_the_coverage() -> None:
    report = one_rule(CheckLimits(fail=6), value=None)
    assert report.checks[0].status is CheckStatus.SKIPPED
    assert report.coverage == 0.0
    assert report.reasons == ("Not checked: one, since it is away.",)


def test_a_rule_that_does_not_apply_is_not_in_the_report() -> None:
    wrong_type = Rule("a", lambda _: Measurement(1.0), "at_most", {EditType.TEXT: CheckLimits()})
    no_mask = Rule("b", lambda _: None, "at_most", {EditType.SEMANTIC: CheckLimits(fail=0)})
    validator = Validator(QualityConfig(), table=[wrong_type, no_mask])
    assert validator.judge(Case(photo(), photo(), EditType.SEMANTIC)).checks == ()


def test_limits_of_the_configuration_are_used() -> None:
    strict = QualityConfig(checks={"over_edit": {"appearance": CheckLimits(fail=0.001)}})
    case = Case(photo(), with_square(photo()), EditType.APPEARANCE)
    assert Validator(strict).judge(case).failed == ("over_edit",)


def test_a_mask_brings_its_checks() -> None:
    mask = np.zeros((256, 256), np.bool_)
    mask[180:250, 180:250] = True
    report = VALIDATOR.judge(Case(photo(), with_square(photo()), EditType.APPEARANCE, mask=mask))
    assert status(report, "inside_mask") is CheckStatus.FAIL
    assert report.check("over_edit") is None


@pytest.mark.parametrize(
    "mask", [np.ones((255, 256), np.bool_), np.zeros((256, 256), np.bool_)], ids=["size", "empty"]
)
def test_what_is_not_a_mask_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a mask must"):
        VALIDATOR.judge(Case(photo(), photo(), EditType.TEXT, mask=mask))


@settings(max_examples=25, deadline=None)
@given(
    before=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    after=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    edit_type=st.sampled_from(EditType),
    masked=st.booleans(),
    same=st.booleans(),
)
def test_any_two_sizes_give_a_report_in_json(
    before: tuple[int, int],
    after: tuple[int, int],
    edit_type: EditType,
    masked: bool,
    same: bool,
) -> None:
    mask = np.zeros(before[::-1], np.bool_)
    mask[0, 0] = True
    edited = photo(size=after) if same else noise(size=after)
    case = Case(photo(size=before), edited, edit_type, mask=mask if masked else None)
    report = Validator(QualityConfig(side=48)).judge(case)
    text = json.dumps(report.to_json(), allow_nan=False)
    assert list(json.loads(text)) == ["verdict", "coverage", "reasons", "checks"]


@pytest.mark.parametrize("edit_type", list(EditType))
def test_pictures_without_features_get_a_sane_report(edit_type: EditType) -> None:
    sky = np.linspace(150, 210, 300).astype(np.uint8)[:, None, None].repeat(400, 1).repeat(3, 2)
    sky[..., 0] -= 60
    edited = sky.copy()
    edited[100:160, 150:250] = 250
    report = VALIDATOR.judge(Case(sky, edited, edit_type))
    assert report.verdict is Verdict.PASS_UNVERIFIED


def test_an_edit_at_another_size_is_compared_at_the_originals() -> None:
    smaller = photo(size=(192, 192))
    report = VALIDATOR.judge(Case(photo(), smaller, EditType.APPEARANCE))
    assert status(report, "no_op") is CheckStatus.FAIL


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_what_is_not_a_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pictures"):
        VALIDATOR.judge(Case(photo(), pixels, EditType.TEXT))
