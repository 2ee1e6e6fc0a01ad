"""The validator: judges attempts on CPUs, beside the editors."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.editor_client import EditorClient
from serve_app.deployments.logs import log_with_serve
from serve_app.deployments.suspects import Suspects
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

        log_with_serve()
        client = EditorClient(editor, several=config.deployments.editor.max > 1)
        self._judge = ThreadedJudge.open(config.quality, client.ask)
        self._suspects = Suspects()

    async def mend(self, case: Case) -> Mended:
        return await self._judge.mend(case)

    async def judge(self, case: Case, picture: bool) -> Judged:
        return await self._judge.judge(case, picture)

    async def again(self, suspect: bool, method: str, *arguments: Any) -> AsyncGenerator[Any, None]:
        """Stream the one answer of a ``method`` whose validator was lost."""

        async def work() -> AsyncGenerator[Any, None]:
            yield await getattr(self._judge, method)(*arguments)

        async with aclosing(self._suspects.run(work(), suspect)) as answers:
            async for answer in answers:
                yield answer
