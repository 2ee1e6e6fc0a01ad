"""The gateway's way to the model: it answers in time, or there is ``NoAnswer``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from serve_app.config import PlanningConfig, ServiceConfig
from serve_app.edits.model import ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.errors import NoAnswer, NotReady
from serve_app.workflows.gateway import EditGateway
from serve_app.workflows.ports import Judge, Router

MODEL = ModelDescription("m", "plus", "r" * 40, False, 1, "float32", "cpu", answers=True)


class AskedRouter:
    """A router whose editors only talk: ``reply`` is what they say, ``None`` that they don't."""

    def __init__(self, model: ModelDescription | None, reply: Reply | None) -> None:
        self._model = model
        self._reply = reply
        self.asked = 0

    async def describe(self) -> ModelDescription:
        if self._model is None:
            raise NotReady("Not yet.")
        return self._model

    async def ask(self, question: Question) -> Reply:
        self.asked += 1
        if self._reply is None:
            await asyncio.Event().wait()
        return cast(Reply, self._reply)


def gateway(router: AskedRouter) -> EditGateway:
    config = ServiceConfig(planning=PlanningConfig(ask_s=0.01))
    return EditGateway(cast(Router, router), cast(Judge, None), config)


async def test_a_model_that_answers_is_asked() -> None:
    router = AskedRouter(MODEL, Reply(text="chain"))
    assert await gateway(router).ask(Question("?")) == Reply(text="chain")


async def test_a_model_that_can_not_answer_is_not_asked() -> None:
    router = AskedRouter(replace(MODEL, answers=False), Reply(text="chain"))
    with pytest.raises(NoAnswer):
        await gateway(router).ask(Question("?"))
    assert router.asked == 0


async def test_patience_ends() -> None:
    router = AskedRouter(MODEL, None)
    with pytest.raises(NoAnswer):
        await gateway(router).ask(Question("?"))
    assert router.asked == 1


async def test_without_an_editor_nobody_is_asked() -> None:
    with pytest.raises(NotReady):
        await gateway(AskedRouter(None, None)).ask(Question("?"))
