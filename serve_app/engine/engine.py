"""The engine as the rest of the service sees it: an edit job in, an edited image out."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Hashable

import numpy as np
import torch

from serve_app.config import EngineConfig, ModelConfig
from serve_app.edits.job import EditedImage, EditJob, EditorEvent, Preview, Queued, StepDone
from serve_app.edits.model import ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.edits.request import EditRequest
from serve_app.engine.acceleration import accelerate_transformer, warm_up_canvases
from serve_app.engine.answering import with_answers
from serve_app.engine.canvas import Layout, canvases
from serve_app.engine.device_loop import DeviceLoop, StepObserver
from serve_app.engine.device_usage import DeviceUsage, device_usage
from serve_app.engine.encode import has_reserved_token, prompt_length
from serve_app.engine.load import Checkpoint, load_checkpoint
from serve_app.engine.state import (
    CanvasEvent,
    CanvasPreview,
    CanvasQueued,
    CanvasResult,
    CanvasStep,
    Listener,
    Ticket,
)
from serve_app.errors import InvalidRequest, NoAnswer, NotReady, Overloaded, TooManyImages

_REHEARSED_STEPS = 4
"""Steps of an edit that warms up: enough for a cost to be trusted."""


class Engine:
    """Batches edits on one device. The event loop that calls it never waits for the device.

    Cancelling the task that awaits ``edit`` or iterates ``stream`` frees the place in the
    batch at the next step.
    """

    def __init__(self, checkpoint: Checkpoint, config: EngineConfig) -> None:
        self._checkpoint = checkpoint
        self._config = config
        self._preparing: Counter[str] = Counter()  # by tenant: admitted, not with the loop yet
        self.loop = DeviceLoop(checkpoint, config)

    @classmethod
    def load(cls, model: ModelConfig, config: EngineConfig, *, ask: bool = False) -> Engine:
        """Load the configured checkpoint, make it fast, and start the device thread.

        ``ask`` finds out whether the text encoder can be asked questions; otherwise it can't.
        """
        if config.threads:
            torch.set_num_threads(config.threads)
        checkpoint = load_checkpoint(model)
        accelerate_transformer(checkpoint.pipeline, config.acceleration)
        if ask:
            checkpoint = with_answers(checkpoint)
        return cls(checkpoint, config)

    async def describe(self) -> ModelDescription:
        """The loaded checkpoint."""
        return self._checkpoint.description

    def company(self, request: EditRequest) -> Hashable:
        """Equal for requests that can share the steps of a batch."""
        pixels = [image.pixels for image in request.images]
        output, references = canvases(pixels, request.size, self._checkpoint)
        sizes = [(canvas.width, canvas.height) for canvas in (output, *references)]
        return *sizes, request.lora

    def warm_up(self) -> None:
        """Run edits of the configured sizes, so that no caller pays for compiling them.

        Alone and in full batches, with and without guidance: these are the kinds of step that
        are compiled apart, and what their cost is estimated from. Drafts, where the model makes
        them, in their own way. Without sizes, one edit and one draft.
        """
        ways = [(2.0, False)]
        if (drafts := self._checkpoint.description.drafts) is not None:
            ways.append((drafts.true_cfg_scale, True))
        for scale, few_step in ways:
            self._rehearse((64, 64), 1, 1, scale, few_step)
        for canvas in warm_up_canvases(self._config.acceleration):
            for together in (1, self._config.max_batch_size):
                for scale, few_step in ((1.0, False), *ways):
                    self._rehearse(canvas, together, _REHEARSED_STEPS, scale, few_step)

    def _rehearse(
        self, canvas: tuple[int, int], together: int, steps: int, scale: float, few_step: bool
    ) -> None:
        width, height = canvas
        grey = np.full((height, width, 3), 128, dtype=np.uint8)
        jobs = [
            EditJob((grey,), "warm up", " ", scale, steps, seed, few_step=few_step)
            for seed in range(together)
        ]
        tickets = [self._prepare(job, None)[1] for job in jobs]
        for ticket in tickets:
            self.loop.submit(ticket)
        for ticket in tickets:
            ticket.future.result()

    async def edit(self, job: EditJob) -> EditedImage:
        """Run one job to its end.

        Raises ``TooManyImages``, ``InvalidRequest`` (a prompt the model can't take),
        ``Overloaded``, ``NotReady`` or ``EditFailed``.
        """
        layout, ticket = await self._submit(job, None)
        return await self._result(layout, ticket)

    async def stream(
        self, job: EditJob, *, admitted: bool = False
    ) -> AsyncGenerator[EditorEvent, None]:
        """Run one job, yielding its place in the queue, its steps and previews, and the image.

        A job that another editor had ``admitted`` before it died gets a place above the limit.
        """
        running = asyncio.get_running_loop()
        events: asyncio.Queue[CanvasEvent | None] = asyncio.Queue()
        layout, ticket = await self._submit(
            job, lambda event: running.call_soon_threadsafe(events.put_nowait, event), admitted
        )
        ticket.future.add_done_callback(
            lambda _: running.call_soon_threadsafe(events.put_nowait, None)
        )
        previews = 0
        try:
            while (event := await events.get()) is not None:
                match event:
                    case CanvasQueued(position, eta_s):
                        yield Queued(position, eta_s)
                    case CanvasStep(step, total, batch_size, eta_s):
                        yield StepDone(step, total, batch_size, eta_s)
                    case CanvasPreview(pixels):
                        yield Preview(previews, await asyncio.to_thread(layout.restore, pixels))
                        previews += 1
            yield await self._result(layout, ticket)
        finally:
            ticket.future.cancel()

    async def ask(self, question: Question) -> Reply:
        """Put a question to the text encoder; cancelling withdraws it while it waits.

        The device answers between two steps, or beside them. Raises ``NoAnswer`` if this model
        can't be asked or fails, ``InvalidRequest`` (a reserved token in the text),
        ``Overloaded`` or ``NotReady``.
        """
        if not self._checkpoint.description.answers:
            raise NoAnswer("This model can't be asked questions.")
        prepared = await asyncio.to_thread(self.loop.questions.prepare, question)
        return await asyncio.wrap_future(self.loop.questions.submit(prepared))

    async def _submit(
        self, job: EditJob, listener: Listener | None, admitted: bool = False
    ) -> tuple[Layout, Ticket]:
        self._check_images(job)
        if not admitted:
            self._admit(job)
        self._preparing[job.tenant] += 1
        try:
            layout, ticket = await asyncio.to_thread(self._prepare, job, listener)
            self.loop.submit(ticket)
        finally:
            self._preparing[job.tenant] -= 1
            self._preparing += Counter()  # forgets those at zero
        return layout, ticket

    def _check_images(self, job: EditJob) -> None:
        at_most = self._checkpoint.description.max_images
        if len(job.images) > at_most:
            raise TooManyImages(
                f"This model takes at most {at_most} input images; {len(job.images)} were sent.",
                "image",
            )

    def _admit(self, job: EditJob) -> None:
        present = self.loop.tenants() + self._preparing
        most = self._config.max_pending
        if present.total() >= most or present[job.tenant] >= self._config.max_pending_of_one:
            raise Overloaded(
                "Too many edits are waiting. Send the request again later.", None, self.drain_s()
            )

    def _prepare(self, job: EditJob, listener: Listener | None) -> tuple[Layout, Ticket]:
        for param in ("prompt", "negative_prompt"):
            if has_reserved_token(self._checkpoint, getattr(job, param)):
                raise InvalidRequest(
                    "The text contains a token that the model reserves, such as "
                    "`<|image_pad|>`. Leave it out.",
                    param,
                )
        layout = Layout.of(job, self._checkpoint)
        task = layout.task(job)
        length, capacity = prompt_length(self._checkpoint, task), self._checkpoint.token_capacity
        if length > capacity:
            raise InvalidRequest(
                f"The prompt is too long for this model: about {length} tokens with its "
                f"images, {capacity} fit. Shorten it.",
                "prompt",
            )
        return layout, Ticket(task, listener, job.deadline_s)

    async def _result(self, layout: Layout, ticket: Ticket) -> EditedImage:
        result: CanvasResult = await asyncio.wrap_future(ticket.future)
        pixels = await asyncio.to_thread(layout.restore, result.pixels)
        return EditedImage(pixels, result.finite, result.seconds)

    def watch(self, observer: StepObserver) -> None:
        """Tell ``observer`` of each step from now on."""
        self.loop.observer = observer

    def device_usage(self) -> DeviceUsage:
        """The memory of the device now."""
        return device_usage(torch.device(self._checkpoint.description.device))

    def load_figures(self) -> dict[str, int]:
        """What waits or runs now, and totals since the start, by name."""
        return {
            "pending": self.loop.pending(),
            "steps": self.loop.steps,
            "finished": self.loop.delivery.finished,
            "withdrawn": self.loop.delivery.withdrawn,
            "encoded_prompts": self.loop.encoders.encoded.prompts,
            "encoded_images": self.loop.encoders.encoded.images,
        }

    def work_s(self) -> float:
        """Seconds until what is here now is done, by the measured steps; 0 if that is unknown."""
        return self.loop.estimates.backlog_s if self.loop.pending() else 0.0

    def drain_s(self) -> float:
        """``work_s`` in whole seconds, at least one: when to come back."""
        return max(1.0, math.ceil(self.work_s()))

    async def check(self) -> None:
        """Raise ``NotReady`` if the device has stopped making progress, or only fails.

        A device whose context is broken fails every edit at once and would attract the most.
        """
        silent_s = time.monotonic() - self.loop.delivery.progressed_at
        if not self.loop.alive or (self.loop.pending() and silent_s > self._config.stall_after_s):
            raise NotReady("The editor has stopped making progress.")
        if self.loop.delivery.failures >= self._config.max_failures:
            raise NotReady("The editor fails every edit.")

    def close(self) -> None:
        """Stop the device thread; what has not finished fails with ``NotReady``."""
        self.loop.close()
