"""Names of variants, which are also names of files."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.workflows.assistant.naming import letter, names_of

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["a red button", "the blue one"], ["red-button", "blue"]),
        (["红色", "blue"], ["A", "B"]),
        (["a hat", "the hat"], ["A", "B"]),
        (["with the", "hat"], ["A", "B"]),
        (["one two three four five six", "x"], ["two-three-four-five", "x"]),
    ],
)
def test_names(texts: list[str], names: list[str]) -> None:
    assert names_of(texts) == names


def test_a_name_of_the_brief_is_kept() -> None:
    assert names_of(["red", "blue"], ["B", "A"]) == ["B", "A"]


@given(st.lists(st.text(max_size=60), min_size=1, max_size=40))
def test_names_are_valid_and_differ_by_more_than_case(texts: list[str]) -> None:
    names = names_of(texts)
    assert len({name.casefold() for name in names}) == len(texts)
    assert all(NAME.fullmatch(name) for name in names)


def test_letters_go_on_after_the_alphabet() -> None:
    assert [letter(index) for index in (0, 25, 26)] == ["A", "Z", "V27"]
