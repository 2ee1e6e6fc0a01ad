import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.quality.text.matching import nearest, neighbours, normalise, similarity
from tests.quality.text.lines import lines

words = st.text("abcdeOPEN019中文字한국어", min_size=1, max_size=15)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Open 24 Hours!", "open24hours"),
        ("ＯＰＥＮ", "open"),
        ("$4.50", "$4.50"),
        ("50 %", "50%"),
        ("9:00 - 18:00", "9:0018:00"),
        ("“Café”, naïve.", "cafénaïve"),
        ("欢迎 光临。", "欢迎光临"),
        ("어서 오세요~", "어서오세요"),
        ("...", ""),
    ],
)
def test_one_form(text: str, normal: str) -> None:
    assert normalise(text) == unicodedata.normalize("NFKC", normal)


@given(text=st.text(max_size=40))
def test_normalising_again_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(text=words, other=st.lists(words, max_size=4))
def test_what_is_there_is_found_without_edits(text: str, other: list[str]) -> None:
    match = nearest(text, lines(*other, text))
    assert match.edits == 0
    assert match.wrong == 0.0


@given(
    text=st.text("abcdefgh", min_size=1, max_size=19),
    place=st.integers(0, 18),
    kind=st.sampled_from(["substitute", "delete", "insert"]),
)
def test_one_wrong_letter_in_a_short_text_is_too_many(text: str, place: int, kind: str) -> None:
    place %= len(text)
    match kind:
        case "substitute":
            wrong = text[:place] + "z" + text[place + 1 :]
        case "delete":
            wrong = text[:place] + text[place + 1 :]
        case _:
            wrong = text[:place] + "z" + text[place:]
    assert nearest(text, lines(wrong)).wrong > 0.05


@pytest.mark.parametrize("wrong", ["OPENS", "REOPEN", "0PEN", "OPEN24"])
def test_a_longer_word_is_not_the_word_in_it(wrong: str) -> None:
    assert nearest("OPEN", lines(wrong)).edits > 0


def test_a_text_may_run_over_lines_and_words() -> None:
    match = nearest("Fresh bread daily", lines("Since 1987", "FRESH BREAD", "daily", "9 to 6"))
    assert match.edits == 0
    assert match.run is not None
    assert len(match.run.boxes) == 2


def test_what_stood_beside_it_may_stick_to_it() -> None:
    before = lines("WE ARE OPEN 9-18")
    assert neighbours("OPEN", before) == [("weare", "918")]
    stuck = lines("WEARECLOSED9-18")
    assert nearest("CLOSED", stuck).edits > 0
    assert nearest("CLOSED", stuck, neighbours("OPEN", before)).edits == 0


def test_nothing_read_is_all_wrong() -> None:
    match = nearest("OPEN", ())
    assert (match.edits, match.wrong, match.similarity) == (4, 1.0, 0.0)


@given(first=words, second=words)
def test_similarity_is_a_share_and_symmetric(first: str, second: str) -> None:
    found = similarity(first, second)
    assert 0.0 <= found <= 1.0
    assert found == similarity(second, first)
    assert similarity(first, first) == 1.0
