"""Questions between and beside edits: answered in order, apart from them, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
import torch

from serve_app.config import EngineConfig
from serve_app.edits.job import EditJob
from serve_app.edits.question import Question, Reply
from serve_app.engine.answering import Answerer
from serve_app.engine.backlog import Backlog
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint
from serve_app.engine.questions import Questions
from serve_app.errors import InvalidRequest, NoAnswer, NotReady, Overloaded
from tests.engine.tasks import photo
from tests.engine.watched import (
    FAULT,
    PATIENCE_S,
    SHORTAGE,
    Watched,
    alone,
    assert_same,
    assert_tells_nothing,
    faulty,
    small,
)

QUESTIONS = (
    Question("Is it red?", (photo(1, 56, 56),)),
    Question("Is it the same?", (photo(1, 56, 56), photo(2, 84, 56))),
    Question("What is it?", (photo(2, 56, 84),), max_tokens=5),
    Question("Are you there?"),
)


@pytest.fixture(scope="module")
def answering(plus: Checkpoint) -> Checkpoint:
    """The miniature, as if its answers meant something: who asks and when matters here."""
    return replace(plus, description=replace(plus.description, answers=True))


@pytest.fixture(scope="module")
def expected(plus: Checkpoint) -> list[Reply]:
    """The answers of a model that does nothing else, to the last bits.

    On another thread, at another moment, sums are made in another order.
    """
    answerer = Answerer(plus)
    with torch.no_grad():
        answers = [answerer.answer(answerer.prepare(question)) for question in QUESTIONS]
    return [
        answer if answer.yes is None else replace(answer, yes=pytest.approx(answer.yes, abs=1e-6))
        for answer in answers
    ]


@pytest.fixture(scope="module")
def engine(answering: Checkpoint) -> Iterator[Engine]:
    engine = Engine(answering, EngineConfig())
    yield engine
    engine.close()


@pytest.fixture(params=[False, True], ids=["between", "beside"])
def loop(answering: Checkpoint, request: pytest.FixtureRequest) -> Iterator[DeviceLoop]:
    """With the encoders between the steps, and on a thread of their own."""
    loop = DeviceLoop(answering, EngineConfig(), beside=request.param)
    yield loop
    loop.close()


def ask(loop: DeviceLoop, question: Question) -> Future[Reply]:
    return loop.questions.submit(loop.questions.prepare(question))


def replies(asked: list[Future[Reply]]) -> list[Reply]:
    return [future.result(timeout=PATIENCE_S) for future in asked]


async def test_an_idle_engine_answers_all_that_ask_at_once(
    engine: Engine, expected: list[Reply]
) -> None:
    answers = await asyncio.gather(*(engine.ask(question) for question in QUESTIONS))
    assert answers == expected


async def test_questions_among_edits_change_neither(engine: Engine, expected: list[Reply]) -> None:
    jobs = [EditJob((photo(seed, 64, 64),), "make it blue", " ", 1.0, 3, seed) for seed in range(3)]
    before = [await engine.edit(job) for job in jobs]
    editing = [asyncio.create_task(engine.edit(job)) for job in jobs]
    answers = await asyncio.gather(*(engine.ask(question) for question in QUESTIONS))
    after = [await edit for edit in editing]
    assert answers == expected
    for one, other in zip(before, after, strict=True):
        # Who shares a step may move a number across a rounding border.
        assert abs(one.pixels.astype(int) - other.pixels).max() <= 1


def test_a_running_edit_is_neither_waited_for_nor_changed(
    loop: DeviceLoop, answering: Checkpoint, expected: list[Reply]
) -> None:
    job = small(answering, steps=4)
    undisturbed = alone(loop, job)
    asked: list[Future[Reply]] = []
    answered: list[Reply] = []
    edit = Watched(
        job,
        {
            1: lambda: asked.extend(ask(loop, question) for question in QUESTIONS),
            # The device thread waits here: beside the steps they are answered all the same.
            3: lambda: answered.extend(replies(asked)),
        },
    )
    loop.submit(edit.ticket)
    assert_same(edit.result().latents, undisturbed)
    assert answered == expected


def test_who_leaves_before_the_answer_is_not_answered(
    answering: Checkpoint, expected: list[Reply]
) -> None:
    forwards: list[object] = []
    counting = faulty(answering, "text_encoder", lambda _, call: forwards.append(call))
    loop = DeviceLoop(counting, EngineConfig(), beside=False)
    try:
        left: list[Future[Reply]] = []

        def come_and_go() -> None:
            left.extend(ask(loop, question) for question in QUESTIONS)
            forwards.clear()
            assert all(future.cancel() for future in left)

        edit = Watched(small(answering, steps=2), {1: come_and_go})
        loop.submit(edit.ticket)
        edit.result()
        assert forwards == []
        assert replies([ask(loop, QUESTIONS[0])]) == expected[:1]
    finally:
        loop.close()


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("error", [RuntimeError(FAULT), torch.OutOfMemoryError(SHORTAGE)])
def test_a_question_that_fails_fails_alone(
    answering: Checkpoint, expected: list[Reply], error: Exception, beside: bool
) -> None:
    broken = [True]

    def fault(_: tuple[Any, ...], call: dict[str, Any]) -> None:
        if broken:
            broken.clear()
            raise error

    loop = DeviceLoop(faulty(answering, "text_encoder", fault), EngineConfig(), beside=beside)
    try:
        failed, *answered = [ask(loop, question) for question in QUESTIONS]
        failure = failed.exception(timeout=PATIENCE_S)
        assert type(failure) is NoAnswer
        assert_tells_nothing(failure)
        assert replies(answered) == expected[1:]
        assert loop.alive
        edit = Watched(small(answering, steps=1))
        loop.submit(edit.ticket)
        edit.result()
    finally:
        loop.close()


async def test_what_can_not_be_asked_is_refused(engine: Engine, plus: Checkpoint) -> None:
    with pytest.raises(InvalidRequest):
        await engine.ask(Question("Is <|image_pad|> there?"))
    silent = Engine(plus, EngineConfig())
    try:
        with pytest.raises(NoAnswer):
            await silent.ask(QUESTIONS[0])
    finally:
        silent.close()


async def test_a_closed_engine_is_not_ready(answering: Checkpoint) -> None:
    engine = Engine(answering, EngineConfig())
    engine.close()
    with pytest.raises(NotReady):
        await engine.ask(QUESTIONS[0])


def test_what_waits_at_the_end_is_refused(plus: Checkpoint) -> None:
    backlog = Backlog()
    questions = Questions(plus, backlog, 2)
    prepared = questions.prepare(QUESTIONS[0])
    waits, left = questions.submit(prepared), questions.submit(prepared)
    assert left.cancel()
    with pytest.raises(Overloaded):
        questions.submit(prepared)
    backlog.close()
    questions.refuse_rest()
    assert isinstance(waits.exception(timeout=0), NotReady)
    assert questions.take() is None
    with pytest.raises(NotReady):
        questions.submit(prepared)
