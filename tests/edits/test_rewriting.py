"""Instructions said again keep what they said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.edits.question import Reply
from serve_app.edits.quotations import quotations
from serve_app.edits.request import EditType
from serve_app.edits.rewriting import (
    MAX_CHARACTERS,
    PLACES,
    language_of,
    place_of,
    plain_rewrite,
    rewriting_question,
    rewritten,
)
from serve_app.edits.text_targets import TextTargets

REMEDIES = ("rewrite", "name_the_place", "quote_the_text")
PROMPTS = {
    "en": "change the sign to 'OPEN'",
    "zh": "把招牌上的字改成“营业中”",
    "ko": "간판을 '영업 중'으로 바꿔 주세요",
}
OPEN = TextTargets("OPEN")

prompts = st.text(max_size=300) | st.sampled_from(list(PROMPTS.values()))
targets = st.builds(TextTargets, st.none() | st.text(min_size=1, max_size=40))
places = st.none() | st.sampled_from(list(PLACES))


def rewrite(
    prompt: str,
    remedy: str = "rewrite",
    *,
    edit_type: EditType = EditType.APPEARANCE,
    text: TextTargets | None = None,
    place: str | None = None,
) -> str:
    return plain_rewrite(prompt, edit_type, text=text or TextTargets(), place=place, remedy=remedy)


# Without a model


@given(prompts, st.sampled_from(list(EditType)), targets, places, st.sampled_from(REMEDIES))
def test_no_word_is_lost_and_a_second_time_changes_nothing(
    prompt: str, edit_type: EditType, text: TextTargets, place: str | None, remedy: str
) -> None:
    def again(what: str) -> str:
        return plain_rewrite(what, edit_type, text=text, place=place, remedy=remedy)

    once = again(prompt)
    assert once.startswith(prompt.rstrip())
    assert len(once) <= MAX_CHARACTERS
    assert len(once) > len(prompt.rstrip())
    assert again(once) == once


@pytest.mark.parametrize("remedy", REMEDIES)
@pytest.mark.parametrize("language", list(PROMPTS))
def test_what_is_added_is_in_the_language_of_the_instruction(language: str, remedy: str) -> None:
    prompt = PROMPTS[language]
    added = rewrite(prompt, remedy, place="top left").removeprefix(prompt)
    assert language_of(added) == language
    assert language_of(prompt) == language


@pytest.mark.parametrize(
    ("prompt", "language"),
    [
        ("write '营业中' on the sign", "en"),
        ("把“OPEN”改成“CLOSED”", "zh"),
        ("'漢字'를 지워 주세요", "ko"),
        ("看板に “OPEN” と書いて", "zh"),
        ("", "en"),
        ("don't touch the dog's ears", "en"),
    ],
)
def test_quoted_words_do_not_decide_the_language(prompt: str, language: str) -> None:
    assert language_of(prompt) == language


def test_the_text_is_quoted_and_spelled() -> None:
    longer = rewrite(PROMPTS["en"], "quote_the_text", text=OPEN)
    assert longer == (
        "change the sign to 'OPEN'. The text must read exactly “OPEN”, letter by letter: O-P-E-N."
    )


def test_a_long_text_is_quoted_only() -> None:
    slogan = "Everything must go before Sunday"
    longer = rewrite("change the banner", "quote_the_text", text=TextTargets(slogan))
    assert longer.endswith(f"exactly “{slogan}”.")


def test_the_place_is_named_by_its_name_in_each_language() -> None:
    named = [rewrite(prompt, "name_the_place", place="bottom right") for prompt in PROMPTS.values()]
    for sentence, place in zip(
        named, ("in the bottom right", "右下方", "오른쪽 아래"), strict=True
    ):
        assert place in sentence


@pytest.mark.parametrize("remedy", ["name_the_place", "quote_the_text", "more_guidance"])
def test_without_what_a_remedy_needs_it_insists(remedy: str) -> None:
    assert rewrite("make it blue", remedy) == rewrite("make it blue", "rewrite")


def test_only_where_the_rest_must_stay_it_is_told_to() -> None:
    assert "keep everything else" in rewrite("make the car blue")
    assert "keep" not in rewrite("make it a watercolour", edit_type=EditType.SEMANTIC)


@pytest.mark.parametrize("end", [".", "!", "。", "?", '."'])
def test_a_sentence_that_has_ended_gets_no_second_full_stop(end: str) -> None:
    assert rewrite(f"make it blue{end}").startswith(f"make it blue{end} Make")


def test_remedies_add_up() -> None:
    once = rewrite("make it blue")
    twice = rewrite(once, "name_the_place", place="left")
    assert twice.startswith(once)
    assert "on the left" in twice


def test_an_instruction_without_room_stays_as_it_is() -> None:
    full = "x" * (MAX_CHARACTERS - 5)
    assert rewrite(full) == full


@given(st.floats(0, 1), st.floats(0, 1))
def test_every_point_has_a_place(x: float, y: float) -> None:
    assert place_of(x, y) in PLACES


@pytest.mark.parametrize(
    ("x", "y", "place"),
    [(0, 0, "top left"), (0.5, 0.5, "centre"), (1, 1, "bottom right"), (0.5, 0.1, "top")],
)
def test_places_are_ninths_of_the_picture(x: float, y: float, place: str) -> None:
    assert place_of(x, y) == place


# By a model


def test_the_question_has_the_instruction_and_what_was_wrong() -> None:
    question = rewriting_question("make it\nblue", ["Nothing changed.", "Too  dark."])
    assert "make it blue" in question.text
    assert "- Nothing changed." in question.text
    assert "- Too dark." in question.text
    assert question.max_tokens > 0
    assert question.images == ()


@pytest.mark.parametrize(
    ("prompt", "reply", "used"),
    [
        ("make it blue", "Change the car's colour to blue.", "Change the car's colour to blue."),
        ("make it blue", ' "Paint the car blue" ', "Paint the car blue"),
        ("make it blue", "Instruction: paint the car blue", "paint the car blue"),
        ("write 'OPEN'", "Write 'OPEN' on the sign.", "Write 'OPEN' on the sign."),
        ("write 'OPEN'", "“OPEN” goes on the sign, “bold”", "“OPEN” goes on the sign, “bold”"),
        (PROMPTS["zh"], "将招牌改为“营业中”", "将招牌改为“营业中”"),
    ],
)
def test_a_sane_reply_is_used(prompt: str, reply: str, used: str) -> None:
    assert rewritten(Reply(text=reply), prompt) == used


@pytest.mark.parametrize(
    ("prompt", "reply"),
    [
        ("make it blue", ""),
        ("make it blue", '""'),
        ("make it blue", "make it blue"),
        ("make it blue", "Paint it.\n\nI hope this helps!"),
        ("make it blue", "blue " * 200),
        ("make it blue", "Paint it blue<|im_end|>"),
        ("make it blue", "把它变成蓝色"),
        (PROMPTS["zh"], "Change the sign to “营业中”"),
        ("write 'OPEN'", "Write 'OPEM' on the sign."),
        ("change 'A' to 'B'", "Write 'B' on the sign."),
    ],
)
def test_a_reply_that_lost_something_is_not_used(prompt: str, reply: str) -> None:
    assert rewritten(Reply(text=reply), prompt) is None


@given(prompts, st.text(max_size=400))
def test_whatever_a_model_writes_the_result_is_one_line_with_all_quotations(
    prompt: str, reply: str
) -> None:
    new = rewritten(Reply(text=reply), prompt)
    if new is not None:
        assert new == new.strip() != ""
        assert len(new.splitlines()) == 1
        assert all(quoted.text in new for quoted in quotations(prompt))


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("change 'A' to \"B\"", ("A", "B")),
        ("把“甲”改成「乙」", ("甲", "乙")),
        ("don't touch the dog's ears", ()),
        ("write 'it's here'", ("it's here",)),
    ],
)
def test_quotations_are_found_and_apostrophes_are_none(prompt: str, words: tuple[str, ...]) -> None:
    assert tuple(quoted.text for quoted in quotations(prompt)) == words
