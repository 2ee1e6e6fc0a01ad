"""Editors that die in the middle of certain edits: the one thing here that is a fake, a crash."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from serve_app import app
from serve_app.deployments.editor import Editor

DEADLY = "this prompt stops the process that runs it"

_AFTER_S = 0.1
"""When the process ends after it began with a deadly edit: its first steps are done by then."""


@contextmanager
def doomed_editors(deaths: Path) -> Iterator[None]:
    """What is deployed meanwhile dies of ``DEADLY`` edits, and adds a line to ``deaths`` before."""
    with patch.object(app, "Editor", Editor.options(func_or_class=_doomed(str(deaths)))):
        yield


def _doomed(deaths: str) -> type:
    deadly, after_s, whole = DEADLY, _AFTER_S, Editor.func_or_class

    # Defined here, so that Ray copies it by value into replicas that don't know this module.
    class Doomed(whole):  # type: ignore[misc, valid-type]
        async def edit(self, job: Any) -> Any:
            self._fall_with(job)
            return await super().edit(job)

        async def again(self, job: Any, suspect: bool) -> AsyncGenerator[Any, None]:
            async for event in super().again(job, suspect):
                # Its turn has come.
                self._fall_with(job)
                yield event

        def _fall_with(self, job: Any) -> None:
            if job.prompt == deadly:
                asyncio.get_running_loop().call_later(after_s, self._fall)

        def _fall(self) -> None:
            with Path(deaths).open("a") as file:
                print("died", file=file, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    return Doomed
