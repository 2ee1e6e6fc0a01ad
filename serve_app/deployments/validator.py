"""The validator: judges attempts on CPUs, beside the editors."""

from __future__ import annotations

from typing import Any

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.calls import call_again
from serve_app.quality.case import Case
from serve_app.quality.report import Report


@serve.deployment(name="Validator")
class Validator:
    """Runs the checks in a thread, so that health checks are answered meanwhile."""

    def __init__(self, config: ServiceConfig) -> None:
        from serve_app.quality.validator import Validator as Checks
        from serve_app.workflows.in_process import ThreadedJudge

        self._judge = ThreadedJudge(Checks(config.quality))

    async def judge(self, case: Case) -> Report:
        return await self._judge.judge(case)


class ValidatorClient:
    """The validators behind a Serve handle, as the workflow's ``Judge``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def judge(self, case: Case) -> Report:
        return await call_again("validator", lambda: self._handle.judge.remote(case))
