"""The edit type in a model's own words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.edits.question import Reply
from serve_app.edits.request import EditType
from serve_app.edits.type_question import edit_type_of, type_question


def test_the_question_offers_every_type_and_asks_for_a_word() -> None:
    question = type_question("make it\nblue")
    assert all(f"\n{edit_type}: " in question.text for edit_type in EditType)
    assert "Instruction: make it blue\n" in question.text
    assert question.max_tokens > 0


@pytest.mark.parametrize("edit_type", list(EditType))
@pytest.mark.parametrize("form", ["{}", "{}.", "**{}**", "The answer is {}", '"{}"\n'])
def test_the_named_type_is_taken(edit_type: EditType, form: str) -> None:
    for word in (edit_type.value, edit_type.value.upper(), edit_type.value.title()):
        assert edit_type_of(Reply(text=form.format(word))) is edit_type


@pytest.mark.parametrize(
    "text", ["", "colour", "text or hybrid", "textual", "semantics", "Yes", "语义"]
)
def test_none_or_several_are_no_answer(text: str) -> None:
    assert edit_type_of(Reply(text=text)) is None


@given(st.text())
def test_anything_may_be_written(text: str) -> None:
    assert edit_type_of(Reply(text=text)) in (None, *EditType)
