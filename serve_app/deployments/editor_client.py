"""The editors as the workflow sees them: one takes an attempt, another if that one dies."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from serve_app.deployments.affinity import ELSEWHERE
from serve_app.deployments.calls import call, call_again, iterate
from serve_app.deployments.suspects import run_again
from serve_app.edits.job import EditedImage, EditJob, EditorEvent
from serve_app.edits.model import ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.errors import EditFailed, NoAnswer, Overloaded, ReplicaLost


class EditorClient:
    """The editors behind a Serve handle, as the workflow's ``Editor``.

    An attempt goes to the replica that its image belongs to, or to the next one where there are
    ``several`` and the first has no place left. If its replica dies it is run once more, with the
    same seed, so that it gives the same pixels; one over which a second replica dies raises
    ``Quarantined``.
    """

    def __init__(self, handle: Any, several: bool) -> None:
        self._handle = handle
        self._several = several
        self._description: ModelDescription | None = None

    async def describe(self) -> ModelDescription:
        if self._description is None:
            self._description = await call_again("editor", self._handle.describe.remote)
        return self._description

    async def edit(self, job: EditJob) -> EditedImage:
        """Run an attempt."""
        began_at = time.monotonic()
        try:
            return await self._edit(job)
        except ReplicaLost as loss:
            async with aclosing(self._again(loss, job, began_at)) as events:
                async for event in events:
                    if isinstance(event, EditedImage):
                        return event
        raise EditFailed("The editor stopped before the image was finished. Try again.")

    async def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        """Stream an attempt; if its replica dies, its events come again from the first one."""
        began_at = time.monotonic()
        try:
            async with aclosing(self._stream(job)) as events:
                async for event in events:
                    yield event
        except ReplicaLost as loss:
            async with aclosing(self._again(loss, job, began_at)) as events:
                async for event in events:
                    yield event

    async def ask(self, question: Question) -> Reply:
        """Put a question to any editor; raises ``NoAnswer`` if none could answer it."""
        if not (await self.describe()).answers:
            raise NoAnswer("This model can't be asked questions.")
        return await call("editor", self._handle.ask.remote(question))

    async def check(self) -> None:
        await call_again("editor", self._handle.check.remote)

    async def _edit(self, job: EditJob) -> EditedImage:
        method = partial(self._handle.options, method_name="edit")
        try:
            return await call("editor", method(session_id=job.subject_id).remote(job))
        except Overloaded:
            if not self._several:
                raise
            return await call("editor", method(session_id=job.subject_id + ELSEWHERE).remote(job))

    async def _stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        method = partial(self._handle.options, method_name="stream", stream=True)
        sessions = [job.subject_id, job.subject_id + ELSEWHERE][: 1 + self._several]
        for session in sessions:
            try:
                async with aclosing(
                    iterate("editor", method(session_id=session).remote(job))
                ) as events:
                    async for event in events:
                        yield event
                return
            except Overloaded:
                if session is sessions[-1]:
                    raise

    def _again(
        self, loss: ReplicaLost, job: EditJob, began_at: float
    ) -> AsyncGenerator[EditorEvent, None]:
        again = self._handle.options(
            method_name="again", stream=True, session_id=job.subject_id + ELSEWHERE
        )

        def send(suspect: bool) -> Any:
            return again.remote(_with_time_left(job, began_at), suspect)

        return run_again("editor", loss, send)


def _with_time_left(job: EditJob, began_at: float) -> EditJob:
    """``job`` with what is left of its deadline, which it was given at ``began_at``."""
    if job.deadline_s is None:
        return job
    return replace(job, deadline_s=max(0.0, job.deadline_s - (time.monotonic() - began_at)))
