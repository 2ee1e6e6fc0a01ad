"""The routers as the gateway sees them: one of which every call is answered, though it may die.

Edits are named by their content and identical ones meet in the cache, so that running one a second
time does no harm: what a router leaves behind when it dies is taken up by the next.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

from serve_app.deployments.calls import call_again, iterate
from serve_app.edits.model import ModelDescription
from serve_app.edits.planning import EditPlan
from serve_app.edits.question import Question, Reply
from serve_app.edits.result import EditEvent, EditOutcome, PartialImage
from serve_app.errors import RouterLost


class RouterClient:
    """The routers behind a Serve handle, as the gateway's ``Router``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._streaming = handle.options(stream=True)

    async def describe(self) -> ModelDescription:
        return await call_again("router", self._handle.describe.remote)

    async def check(self) -> None:
        await call_again("router", self._handle.check.remote)

    async def ask(self, question: Question) -> Reply:
        return await call_again("router", partial(self._handle.ask.remote, question))

    async def forget(self, key: str) -> None:
        """Let no later request be answered with the cached result of ``key``."""
        await call_again("router", partial(self._handle.forget.remote, key))

    async def run(self, plan: EditPlan) -> EditOutcome:
        return await call_again("router", partial(self._handle.run.remote, plan))

    async def stream(self, plan: EditPlan, partial_images: int) -> AsyncGenerator[EditEvent, None]:
        """Stream an edit; if its router dies, its events come again from the first one."""
        shown: set[tuple[int, int]] = set()
        for last in (False, True):
            try:
                async with aclosing(self._events(plan, partial_images)) as events:
                    async for event in events:
                        if isinstance(event, PartialImage):
                            if (event.attempt, event.index) in shown:
                                continue
                            shown.add((event.attempt, event.index))
                        yield event
                return
            except RouterLost:
                if last:
                    raise

    def _events(self, plan: EditPlan, partial_images: int) -> AsyncGenerator[EditEvent, None]:
        return iterate("router", self._streaming.stream.remote(plan, partial_images))
