"""An edit gets its opinion in time, or does without."""

from __future__ import annotations

import asyncio
import logging

import pytest

from serve_app.edits.request import EditType
from serve_app.errors import NoAnswer
from serve_app.quality.case import Case
from serve_app.quality.opinion import Opinion, with_opinion
from tests.conftest import photo

CASE = Case(
    photo("coffee", (64, 48)), photo("coffee", (64, 48)), EditType.HYBRID, prompt="a blue cup"
)
FOLLOWED = Opinion("tester", 0.9, 0.5)


class DecidedJudge:
    """Says what it was told to, or raises it; without either it never answers."""

    def __init__(self, verdict: Opinion | Exception | None = None) -> None:
        self._verdict = verdict

    async def opinion(self, case: Case) -> Opinion | None:
        if isinstance(self._verdict, Exception):
            raise self._verdict
        if self._verdict is None:
            await asyncio.Event().wait()
        return self._verdict


@pytest.mark.parametrize("patience_s", [None, 60.0])
async def test_a_case_gets_what_the_judge_says(patience_s: float | None) -> None:
    judged = await with_opinion(CASE, DecidedJudge(FOLLOWED), patience_s)
    assert judged.opinion is FOLLOWED
    assert judged.edited is CASE.edited


async def test_without_a_judge_a_case_stays_as_it_is() -> None:
    assert await with_opinion(CASE, None, 60.0) is CASE


@pytest.mark.parametrize(
    "error", [NoAnswer("/secret"), TimeoutError("/secret"), RuntimeError("CUDA at /secret")]
)
async def test_a_judge_that_fails_costs_its_opinion_alone_and_is_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert await with_opinion(CASE, DecidedJudge(error), 60.0) is CASE
    assert type(error).__name__ in caplog.text
    assert "secret" not in caplog.text


async def test_a_judge_that_never_answers_is_not_waited_for() -> None:
    assert await with_opinion(CASE, DecidedJudge(), 0.001) is CASE


async def test_a_caller_who_leaves_is_not_held_back() -> None:
    judging = asyncio.create_task(with_opinion(CASE, DecidedJudge(), None))
    await asyncio.sleep(0)
    judging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await judging
