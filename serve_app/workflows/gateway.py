"""The service as the HTTP surface sees it: plan, look into the near cache, ask a router."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from serve_app.config import ServiceConfig
from serve_app.edits.model import ModelDescription
from serve_app.edits.planning import EditPlan, Planner
from serve_app.edits.question import Question, Reply
from serve_app.edits.request import CachePolicy, EditRequest
from serve_app.edits.result import CacheStatus, Completed, EditEvent, EditOutcome
from serve_app.errors import DeadlineExceeded, EditServiceError, NoAnswer, NotReady
from serve_app.monitoring.observing import EditObserver, observed
from serve_app.quality.annotation import Judged
from serve_app.quality.case import Case
from serve_app.storage.cache import MemoryTier
from serve_app.workflows.asking import TypeAsker, answer_within
from serve_app.workflows.deadline import cut_short, time_limit_s
from serve_app.workflows.ports import Judge, Router

T = TypeVar("T")

_ANSWER_S = 3.0
"""How long an editor may take to say that it is there, seconds."""


class EditGateway:
    """Implements ``api.service.EditService`` over a router.

    Results are immutable and named by their content, so every ingress may keep copies: a
    hit in this near tier costs no hop. The shared cache behind the routers remains the one
    that decides what is run. ``observer`` is told of every edit that is asked for here, ``looked``
    whether the near tier had one that it was asked for.
    """

    def __init__(
        self,
        router: Router,
        judge: Judge,
        config: ServiceConfig,
        observer: EditObserver | None = None,
        looked: Callable[[bool], None] | None = None,
    ) -> None:
        self._router = router
        self._judge = judge
        self._config = config
        self._observer = observer
        self._looked = looked
        self._near = MemoryTier(config.cache.near_bytes, config.cache.near_s)
        self._model: ModelDescription | None = None
        self._planner: Planner | None = None
        self._types = TypeAsker(router.ask, config.planning.ask_s)

    async def edit(self, request: EditRequest) -> EditOutcome:
        """Run one edit, or answer it from a cache."""
        with observed(self._observer) as completed:
            async with self._deadline(request):
                plan = await self._plan(request)
                outcome = self._look(plan) or self._keep(plan, await self._router.run(plan))
            completed(outcome)
            return outcome

    async def stream(
        self, request: EditRequest, partial_images: int
    ) -> AsyncGenerator[EditEvent, None]:
        """Run one edit, yielding its events; a cached one completes at once."""
        with observed(self._observer) as completed:
            async with aclosing(self._events(request, partial_images)) as events:
                async for event in events:
                    if isinstance(event, Completed):
                        completed(event.outcome)
                    yield event

    async def _events(
        self, request: EditRequest, partial_images: int
    ) -> AsyncGenerator[EditEvent, None]:
        async with self._deadline(request):
            plan = await self._plan(request)
            if outcome := self._look(plan):
                yield Completed(outcome)
                return
            async with aclosing(self._router.stream(plan, partial_images)) as events:
                async for event in events:
                    if isinstance(event, Completed):
                        self._keep(plan, event.outcome)
                    yield event

    async def validate(self, case: Case, picture: bool) -> Judged:
        """Judge any edit; no editor is needed for it."""
        limit_s = self._config.limits.request_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._judge.judge(case, picture)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"The images were not judged within {limit_s:g} s. Come back when there is less "
                "load."
            ) from error

    async def forget(self, key: str) -> None:
        """Let no later request be answered with the cached result of the content key ``key``.

        Other copies of this gateway may do so for ``cache.near_s`` seconds more.
        """
        self._near.discard(key)
        await self._router.forget(key)

    async def ask(self, question: Question) -> Reply:
        """Put a question to the model's text encoder.

        Raises ``NoAnswer`` if it can't be asked, or has no answer within ``planning.ask_s``.
        """
        reply = None
        if (await self.model()).answers:
            reply = await answer_within(self._router.ask, question, self._config.planning.ask_s)
        if reply is None:
            raise NoAnswer("The model can't be asked, or has no answer.")
        return reply

    async def model(self) -> ModelDescription:
        """Describe the loaded model; raises ``NotReady`` while no editor answers."""
        if self._model is None:
            self._model = await _soon(self._router.describe())
        return self._model

    async def ready(self) -> bool:
        """Whether a warm editor answers."""
        try:
            await _soon(self._router.check())
        except EditServiceError:
            return False
        return True

    @asynccontextmanager
    async def _deadline(self, request: EditRequest) -> AsyncGenerator[None, None]:
        limit_s, own_s = self._config.limits.request_s, request.deadline_s
        try:
            async with asyncio.timeout(time_limit_s(request, limit_s)):
                yield
        except TimeoutError as error:
            if own_s is not None and own_s < limit_s:
                raise DeadlineExceeded(
                    f"The edit was not finished within the {own_s:g} s of `deadline_s` and was "
                    "stopped. Allow more time, or ask for fewer steps or attempts.",
                    "deadline_s",
                ) from error
            raise DeadlineExceeded(
                f"The edit was not finished within {limit_s:g} s and was stopped. Ask for fewer "
                "steps or attempts, or come back when there is less load."
            ) from error

    async def _plan(self, request: EditRequest) -> EditPlan:
        model = await self.model()
        if self._planner is None:
            self._planner = Planner(self._config, model)
        kind = None
        if request.edit_type == "auto" and self._config.planning.ask_model and model.answers:
            kind = await self._types.classify(request.prompt)
        return self._planner.plan(request, kind)

    def _look(self, plan: EditPlan) -> EditOutcome | None:
        if plan.request.cache is not CachePolicy.USE:
            return None
        result = self._near.get(plan.key)
        if self._looked is not None:
            self._looked(result is not None)
        return None if result is None else EditOutcome(result, CacheStatus.HIT)

    def _keep(self, plan: EditPlan, outcome: EditOutcome) -> EditOutcome:
        if plan.request.cache is not CachePolicy.OFF and not cut_short(outcome.result):
            self._near.put(plan.key, outcome.result)
        return outcome


async def _soon(question: Awaitable[T]) -> T:
    """Await an answer that a warm editor has at once; a call to none would wait for one."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await question
    except TimeoutError as error:
        raise NotReady("No editor answers yet. Send the request again later.", None, 5.0) from error
