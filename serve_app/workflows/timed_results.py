"""A place for results that tells how long keeping one takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from serve_app.edits.result import EditResult
from serve_app.workflows.ports import Results


class TimedResults:
    """Keeps results in ``results`` and tells ``took`` the seconds of each that was kept."""

    def __init__(self, results: Results, took: Callable[[float], None]) -> None:
        self._results = results
        self._took = took

    async def put(self, result: EditResult) -> None:
        started = time.monotonic()
        await self._results.put(result)
        self._took(time.monotonic() - started)
