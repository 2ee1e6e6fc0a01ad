"""Questions to the model on the way of an edit, and edits without their answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from serve_app.config import JudgeConfig, PlanningConfig, QualityConfig, ServiceConfig
from serve_app.edits.classification import classify
from serve_app.edits.job import EditedImage, EditJob, EditorEvent
from serve_app.edits.model import ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.edits.request import EditRequest, EditType
from serve_app.engine.engine import Engine
from serve_app.errors import EditServiceError, NoAnswer, Overloaded
from serve_app.workflows.asking import TypeAsker, answer_within
from serve_app.workflows.in_process import assemble


class TalkingEditor:
    """The real engine with a text encoder that was trained: it says what it is told to.

    ``says`` is its reply to all that is asked, or the error it raises.
    """

    def __init__(self, engine: Engine, says: Reply | EditServiceError) -> None:
        self._engine = engine
        self._says = says
        self.asked: list[Question] = []

    async def describe(self) -> ModelDescription:
        return replace(await self._engine.describe(), answers=True)

    async def check(self) -> None:
        await self._engine.check()

    async def edit(self, job: EditJob) -> EditedImage:
        return await self._engine.edit(job)

    def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        return self._engine.stream(job)

    async def ask(self, question: Question) -> Reply:
        self.asked.append(question)
        if isinstance(self._says, EditServiceError):
            raise self._says
        return self._says


class SilentEditor(TalkingEditor):
    """Takes questions and never answers."""

    async def ask(self, question: Question) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError


def asking(config: ServiceConfig) -> ServiceConfig:
    planning = PlanningConfig(num_inference_steps=1, ask_model=True, ask_s=30.0)
    return config.model_copy(update={"planning": planning})


def judged(config: ServiceConfig, patience_s: float = 30.0) -> ServiceConfig:
    judge = JudgeConfig(kind="text_encoder", patience_s=patience_s)
    return config.model_copy(update={"quality": QualityConfig(judge=judge, read_text=False)})


# One question


async def test_a_reply_in_time_is_given_back(engine: Engine) -> None:
    editor = TalkingEditor(engine, Reply(yes=0.9))
    assert await answer_within(editor.ask, Question("?"), 30.0) == Reply(yes=0.9)


@pytest.mark.parametrize("error", [NoAnswer("No."), Overloaded("Later.")])
async def test_a_refusal_is_no_answer(engine: Engine, error: EditServiceError) -> None:
    assert await answer_within(TalkingEditor(engine, error).ask, Question("?"), 30.0) is None


async def test_patience_ends(engine: Engine) -> None:
    assert await answer_within(SilentEditor(engine, Reply()).ask, Question("?"), 0.001) is None


# The edit type


async def test_the_same_prompt_is_asked_for_once(engine: Engine) -> None:
    editor = TalkingEditor(engine, Reply(text="text"))
    types = TypeAsker(editor.ask, 30.0)
    kinds = [await types.classify(prompt) for prompt in ("a", "b", "a")]
    assert [kind and kind.edit_type for kind in kinds] == [EditType.TEXT] * 3
    assert len(editor.asked) == 2


async def test_a_missing_answer_is_asked_for_again(engine: Engine) -> None:
    editor = TalkingEditor(engine, Reply(text="I don't know"))
    types = TypeAsker(editor.ask, 30.0)
    assert [await types.classify("a"), await types.classify("a")] == [None, None]
    assert len(editor.asked) == 2


async def test_the_model_chooses_the_type_that_was_left_open(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    editor = TalkingEditor(engine, Reply(text="Semantic."))
    result = (await assemble(asking(config), editor).edit(request_for_blue)).result
    assert result.metadata["plan"]["edit_type"] == "semantic"
    assert request_for_blue.prompt in editor.asked[0].text


@pytest.mark.parametrize("says", [NoAnswer("No."), Reply(text="semantic or text")])
async def test_without_an_answer_the_rules_choose(
    engine: Engine,
    config: ServiceConfig,
    request_for_blue: EditRequest,
    says: Reply | EditServiceError,
) -> None:
    by_rules = (await assemble(config, engine).edit(request_for_blue)).result
    editor = TalkingEditor(engine, says)
    result = (await assemble(asking(config), editor).edit(request_for_blue)).result
    assert editor.asked
    for decided in ("edit_type", "edit_type_reason"):
        assert result.metadata["plan"][decided] == by_rules.metadata["plan"][decided]


async def test_a_type_that_the_request_names_is_not_asked_for(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    editor = TalkingEditor(engine, Reply(text="semantic"))
    named = replace(request_for_blue, edit_type=EditType.HYBRID)
    result = (await assemble(asking(config), editor).edit(named)).result
    assert result.metadata["plan"]["edit_type"] == "hybrid"
    assert editor.asked == []


async def test_nobody_is_asked_unless_it_is_configured(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    editor = TalkingEditor(engine, Reply(text="semantic", yes=1.0))
    await assemble(config, editor).edit(request_for_blue)
    assert editor.asked == []
    assert not config.asks_model
    assert asking(config).asks_model
    assert judged(config).asks_model


async def test_a_model_without_answers_is_not_asked(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    """The miniature: an operator may leave the setting on."""
    outcome = await assemble(asking(config), engine).edit(request_for_blue)
    by_rules = classify(request_for_blue.prompt).edit_type
    assert outcome.result.metadata["plan"]["edit_type"] == by_rules.value


# The judge


async def test_the_judge_sees_both_pictures_and_its_opinion_is_in_the_report(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    editor = TalkingEditor(engine, Reply(yes=0.02))
    once = replace(request_for_blue, max_attempts=1)
    result = (await assemble(judged(config), editor).edit(once)).result
    checks = {check["name"]: check for check in result.metadata["report"]["checks"]}
    assert result.verdict == "fail"
    assert checks["instruction"]["status"] == "fail"
    assert checks["instruction"]["evidence"]["judge"] == "text_encoder"
    assert {len(question.images) for question in editor.asked} == {2}


@pytest.mark.parametrize("editor", [TalkingEditor, SilentEditor])
async def test_an_edit_goes_on_without_its_judge(
    engine: Engine,
    config: ServiceConfig,
    request_for_blue: EditRequest,
    editor: type[TalkingEditor],
) -> None:
    patience_s = 0.01 if editor is SilentEditor else 30.0
    service = assemble(judged(config, patience_s), editor(engine, NoAnswer("No.")))
    once = replace(request_for_blue, max_attempts=1)
    result = (await service.edit(once)).result
    checks = {check["name"]: check for check in result.metadata["report"]["checks"]}
    assert checks["instruction"]["status"] == "skipped"
    assert result.verdict != "pass"
