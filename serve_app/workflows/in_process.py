"""The whole service in one process, without Ray: for programs, tests and comparisons."""

from __future__ import annotations

import asyncio

from serve_app.config import ServiceConfig
from serve_app.quality.case import Case
from serve_app.quality.report import Report
from serve_app.quality.validator import Validator
from serve_app.storage.blobs import BlobStore
from serve_app.storage.results import ResultStore
from serve_app.storage.shared_cache import SharedCache
from serve_app.workflows.edit import EditWorkflow
from serve_app.workflows.gateway import EditGateway
from serve_app.workflows.ports import Editor


class ThreadedJudge:
    """The validator as a workflow's ``Judge``: its CPU work runs off the event loop."""

    def __init__(self, validator: Validator) -> None:
        self._validator = validator

    async def judge(self, case: Case) -> Report:
        return await asyncio.to_thread(self._validator.judge, case)


def assemble(
    config: ServiceConfig, editor: Editor, cache: SharedCache | None = None
) -> EditGateway:
    """Put the same parts together that ``app.build`` spreads over deployments.

    Several services in one process may share a ``cache``, and so their flights.
    """
    workflow = EditWorkflow(
        editor,
        ThreadedJudge(Validator(config.quality)),
        cache or SharedCache.open(config.cache, config.storage.folder),
        ResultStore(BlobStore(config.storage.root)),
        config,
    )
    return EditGateway(workflow, config)
