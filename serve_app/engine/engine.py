"""The engine as the rest of the service sees it: an edit job in, an edited image out."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import torch

from serve_app.config import EngineConfig, ModelConfig
from serve_app.edits.job import EditedImage, EditJob, EditorEvent, Preview, StepDone
from serve_app.edits.model import ModelDescription
from serve_app.engine.canvas import Layout
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.encode import has_reserved_token, prompt_length
from serve_app.engine.load import Checkpoint, load_checkpoint
from serve_app.engine.state import CanvasResult, CanvasStep, Listener, Ticket
from serve_app.errors import InvalidRequest, NotReady, Overloaded, TooManyImages


class Engine:
    """Batches edits on one device. The event loop that calls it never waits for the device.

    Cancelling the task that awaits ``edit`` or iterates ``stream`` frees the place in the
    batch at the next step.
    """

    def __init__(self, checkpoint: Checkpoint, config: EngineConfig) -> None:
        self._checkpoint = checkpoint
        self._config = config
        self._preparing = 0  # admitted, but not with the loop yet
        self.loop = DeviceLoop(checkpoint, config.max_batch_size)

    @classmethod
    def load(cls, model: ModelConfig, config: EngineConfig, local_root: Path) -> Engine:
        """Load the configured checkpoint and start the device thread."""
        if config.threads:
            torch.set_num_threads(config.threads)
        return cls(load_checkpoint(model, local_root), config)

    async def describe(self) -> ModelDescription:
        """The loaded checkpoint."""
        return self._checkpoint.description

    def warm_up(self) -> None:
        """Run one edit, so that the first caller doesn't pay for lazy initialisation."""
        grey = np.full((64, 64, 3), 128, dtype=np.uint8)
        _, ticket = self._prepare(EditJob((grey,), "warm up", " ", 2.0, 1, 0), None)
        self.loop.submit(ticket)
        ticket.future.result()

    async def edit(self, job: EditJob) -> EditedImage:
        """Run one job to its end.

        Raises ``TooManyImages``, ``InvalidRequest`` (a prompt the model can't take),
        ``Overloaded``, ``NotReady`` or ``EditFailed``.
        """
        layout, ticket = await self._submit(job, None)
        return await self._result(layout, ticket)

    async def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        """Run one job, yielding every step, its previews, and at last the edited image."""
        running = asyncio.get_running_loop()
        steps: asyncio.Queue[CanvasStep | None] = asyncio.Queue()
        layout, ticket = await self._submit(
            job, lambda step: running.call_soon_threadsafe(steps.put_nowait, step)
        )
        ticket.future.add_done_callback(
            lambda _: running.call_soon_threadsafe(steps.put_nowait, None)
        )
        previews = 0
        try:
            while (step := await steps.get()) is not None:
                yield StepDone(step.step, step.total, step.batch_size)
                if step.preview is not None:
                    pixels = await asyncio.to_thread(layout.restore, step.preview)
                    yield Preview(previews, pixels)
                    previews += 1
            yield await self._result(layout, ticket)
        finally:
            ticket.future.cancel()

    async def _submit(self, job: EditJob, listener: Listener | None) -> tuple[Layout, Ticket]:
        self._admit(job)
        self._preparing += 1
        try:
            layout, ticket = await asyncio.to_thread(self._prepare, job, listener)
            self.loop.submit(ticket)
        finally:
            self._preparing -= 1
        return layout, ticket

    def _admit(self, job: EditJob) -> None:
        at_most = self._checkpoint.description.max_images
        if len(job.images) > at_most:
            raise TooManyImages(
                f"This model takes at most {at_most} input images; {len(job.images)} were sent.",
                "image",
            )
        if self._preparing + self.loop.pending() >= self._config.max_pending:
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
        return layout, Ticket(task, listener)

    async def _result(self, layout: Layout, ticket: Ticket) -> EditedImage:
        result: CanvasResult = await asyncio.wrap_future(ticket.future)
        pixels = await asyncio.to_thread(layout.restore, result.pixels)
        return EditedImage(pixels, result.finite, result.seconds)

    def load_figures(self) -> dict[str, int]:
        """What waits or runs now, and totals since the start, by name."""
        return {
            "pending": self.loop.pending(),
            "steps": self.loop.steps,
            "finished": self.loop.finished,
            "withdrawn": self.loop.withdrawn,
        }

    def drain_s(self) -> float:
        """Seconds until what is here now is done, by the measured steps; at least one."""
        return max(1.0, math.ceil(self.loop.remaining_steps() * self.loop.share_seconds))

    async def check(self) -> None:
        """Raise ``NotReady`` if the device has stopped making progress, or only fails.

        A device whose context is broken fails every edit at once and would attract the most.
        """
        silent_s = time.monotonic() - self.loop.progressed_at
        if not self.loop.alive or (self.loop.pending() and silent_s > self._config.stall_after_s):
            raise NotReady("The editor has stopped making progress.")
        if self.loop.failures >= self._config.max_failures:
            raise NotReady("The editor fails every edit.")

    def close(self) -> None:
        """Stop the device thread; what has not finished fails with ``NotReady``."""
        self.loop.close()
