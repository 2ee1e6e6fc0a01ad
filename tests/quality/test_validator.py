import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.config import QualityConfig
from serve_app.edits.request import EditType
from serve_app.quality.case import Case
from serve_app.quality.report import CheckStatus, Report, Verdict
from serve_app.quality.subject import Measurement
from serve_app.quality.table import TABLE, Rule, Severity
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
    assert report.coverage == 0.75
    assert [reason for reason in report.reasons if "instruction" in reason] == list(report.reasons)
    assert status(report, "instruction") is CheckStatus.SKIPPED
    assert status(report, "ssim") is CheckStatus.INFO


@pytest.mark.parametrize("edit_type", list(EditType))
@pytest.mark.parametrize("edited", [flat(0), flat(128), noise()], ids=["black", "grey", "noise"])
def test_a_collapsed_result_fails(edited: np.ndarray, edit_type: EditType) -> None:
    report = VALIDATOR.judge(Case(photo(), edited, edit_type))
    assert report.verdict is Verdict.FAIL
    assert report.reasons[0].startswith("The result is almost one flat colour")


def test_numbers_that_overflowed_fail_first() -> None:
    report = VALIDATOR.judge(Case(photo(), flat(0), EditType.SEMANTIC, finite=False))
    assert report.verdict is Verdict.FAIL
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


def test_a_judge_that_answers_makes_it_a_pass() -> None:
    everywhere = dict.fromkeys(EditType, Severity.HARD)
    judged = [each for each in TABLE if each.name != "instruction"]
    for answer, verdict in ((True, Verdict.PASS), (False, Verdict.FAIL)):
        rule = Rule("instruction", lambda _, answer=answer: Measurement(answer), everywhere, "No.")
        validator = Validator(QualityConfig(), [*judged, rule])
        report = validator.judge(Case(photo(), with_square(photo()), EditType.APPEARANCE))
        assert report.verdict is verdict
        assert report.coverage == 1.0


def test_a_rule_that_does_not_apply_is_not_run() -> None:
    rule = Rule("mask", lambda _: Measurement(False), {EditType.TEXT: Severity.HARD}, "Masked.")
    report = Validator(QualityConfig(), [rule]).judge(Case(photo(), photo(), EditType.SEMANTIC))
    assert report.checks == ()
    assert report.verdict is Verdict.PASS_UNVERIFIED


def test_only_the_copy_check_heeds_the_mask() -> None:
    mask = np.zeros((256, 256), np.bool_)
    mask[200:240, 200:240] = True
    original, edited = photo(), with_square(photo())
    whole = VALIDATOR.judge(Case(original, edited, EditType.APPEARANCE))
    masked = VALIDATOR.judge(Case(original, edited, EditType.APPEARANCE, mask=mask))
    differing = [
        before.name
        for before, after in zip(whole.checks, masked.checks, strict=True)
        if before != after
    ]
    assert differing == ["no_op"]
    assert status(masked, "no_op") is CheckStatus.FAIL


@pytest.mark.parametrize(
    "mask", [np.ones((255, 256), np.bool_), np.zeros((256, 256), np.bool_)], ids=["size", "empty"]
)
def test_what_is_not_a_mask_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a mask must"):
        VALIDATOR.judge(Case(photo(), photo(), EditType.TEXT, mask=mask))


@settings(max_examples=15, deadline=None)
@given(
    before=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    after=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    edit_type=st.sampled_from(EditType),
)
def test_any_two_sizes_give_a_report_in_json(
    before: tuple[int, int], after: tuple[int, int], edit_type: EditType
) -> None:
    validator = Validator(QualityConfig(side=48))
    report = validator.judge(Case(photo(size=before), noise(size=after), edit_type))
    text = json.dumps(report.to_json(), allow_nan=False)
    assert list(json.loads(text)) == ["verdict", "coverage", "reasons", "checks"]


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
