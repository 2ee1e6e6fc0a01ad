"""Judging through the gateway: no editor takes part, and it ends in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serve_app.config import LimitsConfig, QualityConfig, ServiceConfig
from serve_app.edits.request import EditType
from serve_app.errors import DeadlineExceeded
from serve_app.quality.annotation import Judged
from serve_app.quality.case import Case
from serve_app.quality.repair import Mended
from serve_app.quality.validator import Validator
from serve_app.workflows.gateway import EditGateway
from serve_app.workflows.in_process import ThreadedJudge
from tests.quality.pictures import photo, with_square

CASE = Case(photo(), with_square(photo()), EditType.APPEARANCE)


class NoRouter:
    """Fails whoever asks it."""

    async def ask(self, question: Any) -> Any:
        raise AssertionError("judging asked an editor")

    describe = check = run = stream = ask


class Absent:
    """A judge that never answers, and knows when it was given up."""

    def __init__(self) -> None:
        self.withdrawn = False

    async def mend(self, case: Case) -> Mended:
        raise NotImplementedError

    async def judge(self, case: Case, picture: bool) -> Judged:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.withdrawn = True
            raise
        raise NotImplementedError


@pytest.mark.parametrize("picture", [True, False])
async def test_the_report_is_the_validators(picture: bool) -> None:
    validator = Validator(QualityConfig())
    gateway = EditGateway(NoRouter(), ThreadedJudge(validator), ServiceConfig())
    judged = await gateway.validate(CASE, picture)
    assert judged.report == validator.judge(CASE)
    assert (judged.picture is not None) is picture


async def test_judging_over_its_time_is_withdrawn() -> None:
    judge = Absent()
    gateway = EditGateway(NoRouter(), judge, ServiceConfig(limits=LimitsConfig(request_s=0.01)))
    with pytest.raises(DeadlineExceeded, match="not judged within"):
        await gateway.validate(CASE, picture=False)
    assert judge.withdrawn
