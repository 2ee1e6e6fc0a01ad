"""The validator: judges attempts on CPUs, beside the editors."""

from __future__ import annotations

from typing import Any

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.calls import call_again
from serve_app.deployments.editor import EditorClient
from serve_app.quality.annotation import Judged
from serve_app.quality.case import Case
from serve_app.quality.repair import Mended


@serve.deployment(name="Validator")
class Validator:
    """Runs the checks in a thread, so that health checks are answered meanwhile.

    ``editor`` is the handle by which a configured judge asks the text encoder.
    """

    def __init__(self, config: ServiceConfig, editor: Any) -> None:
        from serve_app.workflows.in_process import ThreadedJudge

        client = EditorClient(editor, several=config.deployments.editor.max > 1)
        self._judge = ThreadedJudge.open(config.quality, client.ask)

    async def mend(self, case: Case) -> Mended:
        return await self._judge.mend(case)

    async def judge(self, case: Case, picture: bool) -> Judged:
        return await self._judge.judge(case, picture)


class ValidatorClient:
    """The validators behind a Serve handle, as the workflow's ``Judge``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def mend(self, case: Case) -> Mended:
        return await call_again("validator", lambda: self._handle.mend.remote(case))

    async def judge(self, case: Case, picture: bool) -> Judged:
        return await call_again("validator", lambda: self._handle.judge.remote(case, picture))
