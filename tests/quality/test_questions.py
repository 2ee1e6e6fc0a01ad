"""The judge that asks: which questions, with what, and what their answers come to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.config import JudgeConfig, QualityConfig
from serve_app.edits.question import Question, Reply
from serve_app.edits.request import EditType
from serve_app.edits.text_targets import NO_TEXT, TextTargets
from serve_app.errors import NoAnswer
from serve_app.quality.case import Case
from serve_app.quality.judges import open_judge
from serve_app.quality.questions import TextEncoderJudge, decompose, put
from tests.conftest import photo

CASE = Case(
    photo("coffee", (90, 60)),
    photo("chelsea", (60, 40)),
    EditType.APPEARANCE,
    prompt="make it blue",
)


class Answering:
    """Answers a question by the first of ``answers`` whose key occurs in it, else "yes"."""

    def __init__(self, **answers: float) -> None:
        self._answers = answers
        self.asked: list[Question] = []

    async def __call__(self, question: Question) -> Reply:
        self.asked.append(question)
        found = (yes for key, yes in self._answers.items() if key in question.text)
        return Reply(yes=next(found, 0.97))


async def unable(question: Question) -> Reply:
    raise NoAnswer("It can't be asked.")


# The questions


@pytest.mark.parametrize("edit_type", list(EditType))
def test_every_edit_is_asked_for_the_change_all_of_it_and_defects(edit_type: EditType) -> None:
    questions = decompose(edit_type, NO_TEXT)
    for part in ("visible", "everything", "smears"):
        assert sum(part in question for question in questions) == 1
    assert len(set(questions)) == len(questions)


@pytest.mark.parametrize("edit_type", list(EditType))
def test_only_where_the_rest_must_stay_it_is_asked_for(edit_type: EditType) -> None:
    asked = any("same places" in question for question in decompose(edit_type, NO_TEXT))
    assert asked == (edit_type is not EditType.SEMANTIC)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (NO_TEXT, []),
        (TextTargets("OPEN", None), ["OPEN"]),
        (TextTargets(None, "打烊"), ["打烊"]),
        (TextTargets("열림", "닫힘"), ["열림", "닫힘"]),
    ],
)
def test_known_words_are_asked_for_one_by_one(text: TextTargets, named: list[str]) -> None:
    more = set(decompose(EditType.TEXT, text)) - set(decompose(EditType.TEXT, NO_TEXT))
    assert len(more) == len(named)
    assert all(any(word in question for question in more) for word in named)


@given(prompt=st.text(max_size=200))
def test_an_instruction_can_not_end_its_own_quotation(prompt: str) -> None:
    text = put("Is it done?", prompt)
    assert text.count('"') == 2
    assert len(text.splitlines()) == 1
    assert text.endswith(" Is it done?")


# The opinion


async def test_the_worst_answer_is_the_score() -> None:
    ask = Answering(visible=0.8, everything=0.31)
    opinion = await TextEncoderJudge(ask, 0.6, 512).opinion(CASE)
    assert opinion is not None
    assert (opinion.judge, opinion.score, opinion.threshold) == ("text_encoder", 0.31, 0.6)
    answers = {answer.question: answer.yes for answer in opinion.answers}
    assert tuple(answers) == decompose(EditType.APPEARANCE, NO_TEXT)
    assert sorted(answers.values())[:2] == [0.31, 0.8]


async def test_every_question_shows_the_original_first_and_names_the_instruction() -> None:
    ask = Answering()
    await TextEncoderJudge(ask, 0.5, 512).opinion(CASE)
    for question in ask.asked:
        original, edited = question.images
        assert original.shape == CASE.original.shape
        assert edited.shape == CASE.edited.shape
        assert '"make it blue"' in question.text
        assert question.max_tokens == 0


async def test_pictures_travel_at_the_size_that_is_looked_at() -> None:
    ask = Answering()
    await TextEncoderJudge(ask, 0.5, 45).opinion(CASE)
    assert {tuple(image.shape for image in it.images) for it in ask.asked} == {
        ((30, 45, 3), (30, 45, 3))
    }


@pytest.mark.parametrize("prompt", ["", "  \n"])
async def test_without_an_instruction_there_is_no_opinion(prompt: str) -> None:
    ask = Answering()
    assert await TextEncoderJudge(ask, 0.5, 512).opinion(replace(CASE, prompt=prompt)) is None
    assert ask.asked == []


async def test_a_model_that_can_not_answer_is_no_score_of_zero() -> None:
    with pytest.raises(NoAnswer):
        await TextEncoderJudge(unable, 0.5, 512).opinion(CASE)


async def test_an_answer_in_words_is_no_score_of_zero() -> None:
    async def talkative(question: Question) -> Reply:
        return Reply(text="Well, yes.")

    with pytest.raises(NoAnswer):
        await TextEncoderJudge(talkative, 0.5, 512).opinion(CASE)


# Which judge


def test_by_default_there_is_no_judge() -> None:
    assert open_judge(QualityConfig(), unable) is None


async def test_the_configured_judge_has_the_configured_threshold() -> None:
    config = QualityConfig(judge=JudgeConfig(kind="text_encoder", threshold=0.7))
    judge = open_judge(config, Answering())
    assert judge is not None
    opinion = await judge.opinion(CASE)
    assert opinion is not None
    assert opinion.threshold == 0.7


@pytest.mark.parametrize(
    "settings", [{"kind": "similarity"}, {"checkpoint": "a/b"}, {"kind": "other"}, {"treshold": 1}]
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"judge|checkpoint|kind|treshold"):
        QualityConfig.model_validate({"judge": settings})
