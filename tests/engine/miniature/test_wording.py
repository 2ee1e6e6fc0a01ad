"""Instructions: worded in three languages, with everything the change needs in them."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.miniature.changes import CHANGES
from serve_app.engine.miniature.phrases import WORDINGS
from serve_app.engine.miniature.scenes import draw_pair
from serve_app.engine.miniature.vocabulary import (
    COLOUR_NAMES,
    LANGUAGES,
    PLACE_NAMES,
    SHAPE_NAMES,
    Language,
)
from serve_app.engine.miniature.wording import with_particles


@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(tuple(CHANGES)),
    language=st.sampled_from(LANGUAGES),
)
def test_an_instruction_names_all_that_it_is_about(
    seed: int, kind: str, language: Language
) -> None:
    pair = draw_pair(Random(seed), "train", kind, language)
    text, change = pair.instruction, pair.change
    for subject in filter(None, (change.subject, change.other)):
        assert COLOUR_NAMES[subject.colour].in_(language) in text
        assert SHAPE_NAMES[subject.shape].in_(language) in text
    if change.colour is not None:
        assert COLOUR_NAMES[change.colour].in_(language) in text
    if change.place is not None:
        assert PLACE_NAMES[change.place].in_(language) in text
    assert change.word is None or change.word in text
    assert not set("{}[]") & set(text)


@given(seed=st.integers(0, 10**6), kind=st.sampled_from(tuple(CHANGES)))
def test_an_instruction_is_written_in_its_language(seed: int, kind: str) -> None:
    for language, first, last in (("zh", 0x4E00, 0x9FFF), ("ko", 0xAC00, 0xD7A3)):
        pair = draw_pair(Random(seed), "train", kind, language)  # type: ignore[arg-type]
        assert any(first <= ord(letter) <= last for letter in pair.instruction)
    assert draw_pair(Random(seed), "train", kind, "en").instruction.isascii()


def test_every_kind_has_several_wordings_in_every_language() -> None:
    kinds = {language: set(wordings) for language, wordings in WORDINGS.items()}
    assert kinds["en"] == kinds["zh"] == kinds["ko"]
    for wordings in WORDINGS.values():
        assert all(len(set(texts)) >= 2 for texts in wordings.values())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("원[을/를] 지워줘", "원을 지워줘"),
        ("하트[을/를] 지워줘", "하트를 지워줘"),
        ("별[으로/로]", "별로"),  # after ㄹ as after a vowel
        ("위쪽[으로/로]", "위쪽으로"),
        ("가운데[으로/로]", "가운데로"),
        ("마름모[과/와] 원[과/와]", "마름모와 원과"),
        ("'OPEN'[으로/로]", "'OPEN'로"),
    ],
)
def test_korean_particles_follow_the_last_syllable(written: str, expected: str) -> None:
    assert with_particles(written) == expected
