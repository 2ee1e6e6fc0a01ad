import pytest

from serve_app.quality.text.checks import needs_korean, old_text, other_text, target_text
from tests.quality.pictures import value
from tests.quality.text.lines import readings


@pytest.mark.parametrize(
    ("after", "wrong"),
    [
        ("CLOSED", 0.0),
        ("Closed.", 0.0),
        ("CLOSEB", 1 / 6),
        ("CLOSD", 1 / 6),
        ("CLOOSED", 1 / 6),
        ("OPEN", 1.0),
        ("", 1.0),
    ],
)
def test_the_target_is_compared_letter_by_letter(after: str, wrong: float) -> None:
    found = target_text(readings(("OPEN", "9 to 6"), (after, "9 to 6")), "CLOSED", "OPEN")
    if wrong == 1.0:
        assert value(found) > 0.6
    else:
        assert value(found) == pytest.approx(wrong)


def test_a_target_that_was_there_before_is_told() -> None:
    found = target_text(readings(("SALE", "OPEN"), ("SALE", "OPEN")), "SALE")
    assert value(found) == 0.0
    assert found.evidence["already_there"] is True


@pytest.mark.parametrize(
    ("old", "expected", "after", "gone"),
    [
        ("OPEN", "CLOSED", ("CLOSED",), True),
        ("OPEN", "CLOSED", ("OPEN",), False),
        ("OPEN", "CLOSED", ("OPEN", "CLOSED"), False),
        ("50%", "60%", ("60%",), True),
        ("coffee shop", "coffee shops", ("coffee shops",), True),
        ("$4.50", "$4.80", ("$4.80",), True),
        ("OPEN", "OPEN 24 HOURS", ("OPEN 24 HOURS",), True),
        ("OPEN", None, (), True),
        ("OPEN", None, ("OPEN",), False),
        ("营业中", "休息中", ("休息中",), True),
        ("营业中", "休息中", ("营业中",), False),
    ],
)
def test_the_old_text_is_gone_however_much_the_new_one_resembles_it(
    old: str, expected: str | None, after: tuple[str, ...], gone: bool
) -> None:
    found = old_text(readings((old, "9 to 6"), (*after, "9 to 6")), old, expected)
    assert (value(found) <= 0.8) is gone


def test_what_could_not_be_read_before_is_not_gone() -> None:
    found = old_text(readings(("9 to 6",), ("CLOSED",)), "OPEN", "CLOSED")
    assert found.status == "unsupported"


def test_other_lines_are_held_against_the_edit() -> None:
    before = ("FRESH BREAD", "Since 1987", "Please knock")
    good = other_text(
        readings(before, ("ICE CREAM", "Since 1987", "Please knock")), before[0], "ICE CREAM"
    )
    bad = other_text(
        readings(before, ("ICE CREAM", "Sinxo 19B7", "Please knock")), before[0], "ICE CREAM"
    )
    assert value(good) == 1.0
    assert value(bad) < 0.85
    assert bad.evidence["before"] == "Since 1987"


def test_lines_that_a_text_was_split_into_are_no_others() -> None:
    found = other_text(readings(("FRESH", "BREAD"), ("ICE", "CREAM")), "FRESH BREAD", "ICE CREAM")
    assert value(found) == 1.0
    assert found.evidence["lines"] == 0


def test_korean_takes_its_own_reader() -> None:
    assert needs_korean(None, "커피 4,500원")
    assert not needs_korean("coffee", "咖啡", None)
