"""The whole service in one process, without Ray: for programs, tests and comparisons."""

from __future__ import annotations

import asyncio

from serve_app.config import QualityConfig, ServiceConfig
from serve_app.edits.question import Ask
from serve_app.quality.annotation import Judged, judge
from serve_app.quality.case import Case
from serve_app.quality.judges import open_judge
from serve_app.quality.opinion import InstructionJudge, with_opinion
from serve_app.quality.repair import Mended, mend
from serve_app.quality.validator import Validator
from serve_app.storage.blobs import BlobStore
from serve_app.storage.results import ResultStore
from serve_app.storage.shared_cache import SharedCache
from serve_app.workflows.edit import EditWorkflow
from serve_app.workflows.gateway import EditGateway
from serve_app.workflows.ports import Cache, Editor, Judge, Results


class ThreadedJudge:
    """The validator as a workflow's ``Judge``: its CPU work runs off the event loop.

    ``judge`` says first whether the instruction was followed; it has ``patience_s`` seconds, or
    all the time it wants.
    """

    def __init__(
        self,
        validator: Validator,
        judge: InstructionJudge | None = None,
        patience_s: float | None = None,
    ) -> None:
        self._validator = validator
        self._judge = judge
        self._patience_s = patience_s

    @classmethod
    def open(cls, config: QualityConfig, ask: Ask) -> ThreadedJudge:
        """Load the configured validator and judge; ``ask`` reaches an editor's text encoder."""
        judge = open_judge(config, ask)
        return cls(Validator.open(config), judge, config.judge.patience_s)

    async def mend(self, case: Case) -> Mended:
        case = await with_opinion(case, self._judge, self._patience_s)
        return await asyncio.to_thread(mend, self._validator, case)

    async def judge(self, case: Case, picture: bool) -> Judged:
        case = await with_opinion(case, self._judge, self._patience_s)
        return await asyncio.to_thread(judge, self._validator, case, picture)


def assemble(
    config: ServiceConfig,
    editor: Editor,
    cache: Cache | None = None,
    *,
    judge: Judge | None = None,
    results: Results | None = None,
) -> EditGateway:
    """Put the same parts together that ``app.build`` spreads over deployments.

    Several services in one process may share a ``cache``, and so their flights. Parts that are
    given, which may be elsewhere, take the place of those that ``config`` describes.
    """
    judge = judge or ThreadedJudge.open(config.quality, editor.ask)
    workflow = EditWorkflow(
        editor,
        judge,
        cache or SharedCache(config.cache, config.storage.folder),
        results or ResultStore(BlobStore(config.storage.root)),
        config,
    )
    return EditGateway(workflow, judge, config)
