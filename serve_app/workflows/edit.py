"""The single edit: cache, editor, validator, again if it failed, store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serve_app import __version__
from serve_app.config import ServiceConfig
from serve_app.edits.job import EditedImage, EditJob, Preview, Queued, StepDone
from serve_app.edits.model import ModelDescription
from serve_app.edits.planning import EditPlan
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
from serve_app.errors import EditFailed, EditServiceError
from serve_app.images.encoding import OutputFormat, encode
from serve_app.quality.case import Case
from serve_app.quality.report import Report, Verdict
from serve_app.storage.results import ResultStore, new_result_id
from serve_app.workflows.deadline import Deadline, cut_short, time_limit_s
from serve_app.workflows.flight import Flights
from serve_app.workflows.ports import Cache, Editor, EventSink, Judge

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One try: its pixels, the judgement, and the seconds each stage and all of it took."""

    number: int
    seed: int
    edited: EditedImage
    report: Report
    seconds: dict[str, float]
    took_s: float

    def to_json(self) -> dict[str, Any]:
        return {
            "attempt": self.number,
            "seed": self.seed,
            "report": self.report.to_json(),
            "seconds": {stage: round(taken, 4) for stage, taken in self.seconds.items()},
        }


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
        results: ResultStore,
        config: ServiceConfig,
    ) -> None:
        self._editor = editor
        self._judge = judge
        self._flights = Flights(cache, config.cache.lease_s)
        self._results = results
        self._request_s = config.limits.request_s

    async def describe(self) -> ModelDescription:
        """The model the editors run."""
        return await self._editor.describe()

    async def check(self) -> None:
        """Raise ``NotReady`` unless a warm editor answers."""
        await self._editor.check()

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
        result = await self._edit(order)
        if plan.request.cache is CachePolicy.OFF:
            return EditOutcome(result, CacheStatus.OFF)
        if not cut_short(plan, result):
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
            if cut_short(order.plan, result):
                await self._flights.abandon(claim)
            else:
                await self._flights.fulfil(claim, result)
        return EditOutcome(result, CacheStatus.MISS)

    async def _edit(self, order: Order) -> EditResult:
        """Try until an attempt passes or the budget is spent; keep and store the best.

        The caller's time is a budget, too: it must leave room for another attempt like the
        last, or the caller would be gone in the middle of it, without the one that is done.
        """
        plan, deadline = order.plan, order.deadline
        started = time.monotonic()
        model = await self._editor.describe()
        attempts: list[Attempt] = []
        for number in range(1, plan.max_attempts + 1):
            if attempts and not deadline.leaves(attempts[-1].took_s):
                logger.info("no time for attempt %d, an earlier one is kept", number)
                break
            try:
                attempts.append(await self._attempt(order, number))
            except EditServiceError as error:
                if not attempts:
                    raise
                logger.warning("attempt %d failed, an earlier one is kept: %s", number, error.code)
                break
            if attempts[-1].report.verdict is not Verdict.FAIL:
                break
        best = min(attempts, key=lambda attempt: (attempt.report.severity, attempt.number))
        png = await asyncio.to_thread(encode, best.edited.pixels, OutputFormat.PNG, None)
        result = _result(plan, model, attempts, best, png, time.monotonic() - started)
        await self._results.put(result)
        return result

    async def _attempt(self, order: Order, number: int) -> Attempt:
        plan, sink = order.plan, order.sink
        started = time.monotonic()
        # The engine refuses what its estimates call too late; the service's own limit doesn't.
        left_s = None if plan.request.deadline_s is None else order.deadline.left_s()
        job = plan.job(number, order.partial_images, left_s)
        edited = await (self._editor.edit(job) if sink is None else self._watch(job, number, sink))
        judged = time.monotonic()
        report = await self._judge.judge(
            Case(job.images[0], edited.pixels, plan.edit_type, edited.finite, job.mask)
        )
        ended = time.monotonic()
        seconds = {**edited.seconds, "validate": ended - judged}
        return Attempt(number, job.seed, edited, report, seconds, ended - started)

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


def _result(
    plan: EditPlan,
    model: ModelDescription,
    attempts: list[Attempt],
    best: Attempt,
    png: bytes,
    seconds: float,
) -> EditResult:
    height, width, _ = best.edited.pixels.shape
    result_id = new_result_id()
    verdict = str(best.report.verdict)
    metadata = {
        "id": result_id,
        "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "service_version": __version__,
        "model": {
            "name": model.name,
            "family": model.family,
            "revision": model.revision,
            "miniature": model.miniature,
            "dtype": model.dtype,
        },
        "content_key": plan.key,
        "request": plan.request.to_json(),
        "plan": plan.to_json(),
        "seed": best.seed,
        "verdict": verdict,
        "report": best.report.to_json(),
        "kept_attempt": best.number,
        "attempts": [attempt.to_json() for attempt in attempts],
        "width": width,
        "height": height,
        "seconds": round(seconds, 4),
    }
    return EditResult(
        id=result_id,
        png=png,
        width=width,
        height=height,
        seed=best.seed,
        verdict=verdict,
        attempts=len(attempts),
        metadata=metadata,
    )
