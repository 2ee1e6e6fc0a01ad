"""The single edit: cache, editor, validator, again if it failed, store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from serve_app.config import ServiceConfig
from serve_app.edits.attempt import AttemptPlan
from serve_app.edits.job import EditedImage, EditJob, Preview, Queued, StepDone
from serve_app.edits.model import ModelDescription
from serve_app.edits.planning import EditPlan
from serve_app.edits.question import Question, Reply
from serve_app.edits.request import CachePolicy
from serve_app.edits.result import (
    CacheStatus,
    Completed,
    EditEvent,
    EditOutcome,
    EditResult,
    PartialImage,
    Progress,
    Waiting,
)
from serve_app.edits.rewriting import rewriting_question, rewritten
from serve_app.errors import EditFailed, EditServiceError, Quarantined
from serve_app.images.encoding import OutputFormat, encode
from serve_app.quality.case import Case
from serve_app.quality.remedy import Remedy
from serve_app.workflows.asking import answer_within
from serve_app.workflows.deadline import Deadline, cut_short, time_limit_s
from serve_app.workflows.flight import Flights
from serve_app.workflows.ports import Cache, Editor, EventSink, Judge, Results
from serve_app.workflows.re_editing import ReEditObserver, Stop, Tried, next_attempt, observe
from serve_app.workflows.record import Attempt, best_of, make_result

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """A plan, and what only this caller wants: its events, its previews, its deadline."""

    plan: EditPlan
    sink: EventSink | None
    partial_images: int
    deadline: Deadline


class EditWorkflow:
    """Takes a planned edit all the way; knows the parts only by what they do."""

    def __init__(
        self,
        editor: Editor,
        judge: Judge,
        cache: Cache,
        results: Results,
        config: ServiceConfig,
        observer: ReEditObserver | None = None,
    ) -> None:
        self._editor = editor
        self._judge = judge
        self._flights = Flights(cache, config.cache.lease_s)
        self._results = results
        self._request_s = config.limits.request_s
        self._ask_model, self._ask_s = config.planning.ask_model, config.planning.ask_s
        self._observer = observer

    async def describe(self) -> ModelDescription:
        """The model the editors run."""
        return await self._editor.describe()

    async def check(self) -> None:
        """Raise ``NotReady`` unless a warm editor answers."""
        await self._editor.check()

    async def ask(self, question: Question) -> Reply:
        """Put a question to an editor's text encoder."""
        return await self._editor.ask(question)

    async def forget(self, key: str) -> None:
        """Let no later request be answered with the cached result of ``key``."""
        await self._flights.forget(key)

    async def run(
        self, plan: EditPlan, sink: EventSink | None = None, partial_images: int = 0
    ) -> EditOutcome:
        """Answer ``plan`` from the cache, from its running twin, or by editing.

        ``sink`` gets progress and previews, if this call is the one that edits.
        """
        deadline = Deadline(time_limit_s(plan.request, self._request_s))
        order = Order(plan, sink, partial_images, deadline)
        if plan.request.cache is CachePolicy.USE:
            return await self._run_once(order)
        await self._flights.check(plan.key)
        result = await self._edit(order)
        if plan.request.cache is CachePolicy.OFF:
            return EditOutcome(result, CacheStatus.OFF)
        if not cut_short(result):
            await self._flights.replace(plan.key, result)
        return EditOutcome(result, CacheStatus.MISS)

    async def stream(self, plan: EditPlan, partial_images: int) -> AsyncGenerator[EditEvent, None]:
        """Run ``plan``, yielding its events and at last the outcome."""
        events: asyncio.Queue[EditEvent | None] = asyncio.Queue()
        running = asyncio.create_task(self.run(plan, events.put_nowait, partial_images))
        running.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            yield Completed(await running)
        finally:
            running.cancel()

    async def _run_once(self, order: Order) -> EditOutcome:
        claim = await self._flights.join(order.plan.key)
        if isinstance(claim, EditOutcome):
            return claim
        if claim is None:
            return EditOutcome(await self._edit(order), CacheStatus.MISS)
        async with self._flights.leading(claim):
            result = await self._edit(order)
            if cut_short(result):
                await self._flights.abandon(claim)
            else:
                await self._flights.fulfil(claim, result)
        return EditOutcome(result, CacheStatus.MISS)

    async def _edit(self, order: Order) -> EditResult:
        """Try until an attempt passes or nothing is left to try; keep and store the best."""
        started = time.monotonic()
        model = await self._editor.describe()
        attempts, stopped = await self._attempts(order, model)
        png = await asyncio.to_thread(encode, best_of(attempts).pixels, OutputFormat.PNG, None)
        seconds = time.monotonic() - started
        result = make_result(order.plan, model, attempts, stopped, png, seconds)
        await self._results.put(result)
        return result

    async def _attempts(self, order: Order, model: ModelDescription) -> tuple[list[Attempt], Stop]:
        """Run the attempts that the policy plans, as far as time and editors allow.

        The caller's time is a budget, too: it must leave room for the next attempt, or the
        caller would be gone in the middle of it, without the one that is done.
        """
        attempts: list[Attempt] = []
        tried: list[Tried] = []
        while not isinstance(planned := next_attempt(order.plan, tried), Stop):
            if attempts and not order.deadline.leaves(attempts[-1].seconds_of(planned)):
                logger.info("no time for attempt %d, an earlier one is kept", planned.number)
                return attempts, Stop.TIME
            try:
                planned = await self._in_better_words(planned, order.plan, tried, model)
                attempts.append(await self._attempt(order, planned))
            except EditServiceError as error:
                if isinstance(error, Quarantined):
                    await self._flights.quarantine(order.plan.key, error)
                if not attempts:
                    raise
                logger.warning(
                    "attempt %d failed, an earlier one is kept: %s", planned.number, error.code
                )
                return attempts, Stop.TROUBLE
            tried.append(attempts[-1].tried)
            observe(tried, self._observer)
        return attempts, planned

    async def _in_better_words(
        self,
        planned: AttemptPlan,
        plan: EditPlan,
        tried: Sequence[Tried],
        model: ModelDescription,
    ) -> AttemptPlan:
        """``planned``, its prompt rewritten by the model where that is wanted and it can."""
        if not (self._ask_model and model.answers and Remedy.REWRITE in planned.remedies):
            return planned
        last = tried[-1].report
        # The reasons of failures come first; the model can do nothing about the rest.
        question = rewriting_question(plan.prompt, last.reasons[: len(last.failed)])
        reply = await answer_within(self._editor.ask, question, self._ask_s)
        new = None if reply is None else rewritten(reply, plan.prompt)
        return planned if new is None else replace(planned, prompt=new)

    async def _attempt(self, order: Order, planned: AttemptPlan) -> Attempt:
        plan, sink = order.plan, order.sink
        started = time.monotonic()
        # The engine refuses what its estimates call too late; the service's own limit doesn't.
        left_s = None if plan.request.deadline_s is None else order.deadline.left_s()
        job = plan.job(planned, order.partial_images, left_s)
        edited = await (
            self._editor.edit(job) if sink is None else self._watch(job, planned.number, sink)
        )
        judged = time.monotonic()
        mended = await self._judge.mend(
            Case(
                job.images[0],
                edited.pixels,
                plan.edit_type,
                edited.finite,
                job.mask,
                # What was asked for, however it was put to the model.
                prompt=plan.prompt,
                text=plan.text,
            )
        )
        ended = time.monotonic()
        seconds = {**edited.seconds, "validate": ended - judged}
        return Attempt(planned, edited, mended, seconds, ended - started)

    async def _watch(self, job: EditJob, number: int, sink: EventSink) -> EditedImage:
        async with aclosing(self._editor.stream(job)) as events:
            async for event in events:
                match event:
                    case Queued():
                        sink(Waiting(number, event.position, event.eta_s))
                    case StepDone():
                        sink(Progress(number, event.step, event.total, event.eta_s))
                    case Preview():
                        png = await asyncio.to_thread(encode, event.pixels, OutputFormat.PNG, None)
                        sink(PartialImage(number, event.index, png))
                    case EditedImage():
                        return event
        raise EditFailed("The editor stopped before the image was finished. Try again.")
