import pytest

from serve_app.config import CheckLimits, QualityConfig
from serve_app.edits.request import EditType
from serve_app.errors import ConfigurationError
from serve_app.quality.remedy import Remedy
from serve_app.quality.table import TABLE, Rule, remedies, with_limits

DECIDING = [rule for rule in TABLE if any(cell.fail is not None for cell in rule.limits.values())]


def rule(name: str) -> Rule:
    return next(each for each in TABLE if each.name == name)


def test_names_are_unique() -> None:
    names = [each.name for each in TABLE]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("edit_type", list(EditType))
def test_every_edit_type_can_fail_and_asks_for_the_instruction(edit_type: EditType) -> None:
    for name in ("finite", "collapse", "instruction"):
        assert rule(name).limits[edit_type].fail == 1
    for name in ("ssim", "clarity"):
        assert rule(name).limits[edit_type] == CheckLimits()


def test_an_unchanged_text_edit_is_not_rejected_by_pixels_alone() -> None:
    cells = rule("no_op").limits
    assert cells[EditType.TEXT] == CheckLimits(warn=1)
    assert all(cell.fail == 1 for kind, cell in cells.items() if kind is not EditType.TEXT)


def test_whatever_may_decide_says_what_to_do_and_what_to_try() -> None:
    for each in DECIDING:
        assert each.advice.endswith(".")
        assert each.remedies[0] is Remedy.NEW_SEED
        assert remedies(each.name) == each.remedies


def test_a_warning_comes_before_a_failure() -> None:
    for each in TABLE:
        for cell in each.limits.values():
            if cell.warn is not None and cell.fail is not None:
                assert (cell.warn < cell.fail) == (each.direction == "at_most")


def test_a_local_edit_is_judged_more_strictly_than_a_hybrid_one() -> None:
    for each in TABLE:
        local, hybrid = each.limits.get(EditType.APPEARANCE), each.limits.get(EditType.HYBRID)
        if local and hybrid and local.fail is not None and hybrid.fail is not None:
            stricter = local.fail >= hybrid.fail
            assert stricter if each.direction == "at_least" else local.fail <= hybrid.fail


def test_nothing_is_known_against_an_unknown_check() -> None:
    assert remedies("beauty") == ()


def test_limits_can_be_set_otherwise() -> None:
    config = QualityConfig(
        checks={"cast": {"appearance": {"fail": 9}, "text": None, "semantic": {}}}
    )
    cells = next(each for each in with_limits(TABLE, config.checks) if each.name == "cast").limits
    assert cells[EditType.APPEARANCE] == CheckLimits(fail=9)
    assert EditType.TEXT not in cells
    assert cells[EditType.SEMANTIC] == CheckLimits()
    assert cells[EditType.HYBRID] == rule("cast").limits[EditType.HYBRID]


def test_a_check_that_there_is_not_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'beauty'.*collapse"):
        with_limits(TABLE, {"beauty": {}})
