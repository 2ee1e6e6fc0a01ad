import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.images.line_breaking import broken


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("one two three", 100, ["one two three"]),
        ("unbreakable word", 5, ["unbreakable", "word"]),
        ("冬季促销全场五折", 3, ["冬季促", "销全场", "五折"]),
        ("全场五折，先到", 4, ["全场五", "折，先到"]),
        ("全场「五折」吧", 3, ["全场", "「五", "折」吧"]),
        ("겨울세일", 2, ["겨울", "세일"]),
        ("sale冬季off", 5, ["sale冬", "季off"]),
        ("first\nsecond third", 12, ["first", "second third"]),
        ("  spaces   around  ", 8, ["spaces", "around"]),
        ("", 5, []),
        (" \n ", 5, []),
    ],
)
def test_lines_are_filled_and_end_where_they_may(text: str, width: int, lines: list[str]) -> None:
    assert broken(text, len, width) == lines


@given(text=st.text("ab 冬季，「」겨.\n", max_size=60), width=st.integers(1, 20))
def test_nothing_is_lost_and_only_what_can_not_break_is_too_long(text: str, width: int) -> None:
    lines = broken(text, len, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(line == line.strip() != "" for line in lines)
    for line in lines:
        assert len(line) <= width or " " not in line
