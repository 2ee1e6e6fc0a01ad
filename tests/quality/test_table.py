import pytest

from serve_app.edits.request import EditType
from serve_app.quality.table import TABLE, Rule, Severity


def rule(name: str) -> Rule:
    return next(each for each in TABLE if each.name == name)


def test_names_are_unique() -> None:
    names = [each.name for each in TABLE]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("edit_type", list(EditType))
def test_every_edit_type_can_fail_and_asks_for_the_instruction(edit_type: EditType) -> None:
    for name in ("finite", "collapse", "instruction"):
        assert rule(name).severity[edit_type] is Severity.HARD
    for name in ("ssim", "clarity"):
        assert rule(name).severity[edit_type] is Severity.INFO


def test_an_unchanged_text_edit_is_not_rejected_by_pixels_alone() -> None:
    severity = rule("no_op").severity
    assert severity[EditType.TEXT] is Severity.WARN
    assert {severity[each] for each in EditType if each is not EditType.TEXT} == {Severity.HARD}


def test_whatever_may_decide_says_what_to_do() -> None:
    for each in TABLE:
        if set(each.severity.values()) - {Severity.INFO}:
            assert each.advice.endswith(".")
