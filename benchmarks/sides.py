"""The two sides of the engine's comparison: the same edits by the engine and by diffusers."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.photos import photo
from benchmarks.policies import ProcessorSharing
from serve_app.config import EngineConfig, ModelConfig
from serve_app.edits.job import EditJob
from serve_app.engine.canvas import Layout
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint, load_checkpoint
from serve_app.engine.state import CanvasEvent, CanvasStep, CanvasTask, Ticket
from serve_app.images.pixels import RGB
from tests.engine.stock import call_stock

Latents = NDArray[np.float32]


class Edit(NamedTuple):
    """One edit of the ``seed``-th photo, ``side`` pixels square."""

    prompt: str
    steps: int
    scale: float
    seed: int
    side: int

    def job(self) -> EditJob:
        image = photo(self.seed, self.side)
        return EditJob((image,), self.prompt, " ", self.scale, self.steps, self.seed)


class Side:
    """A loaded checkpoint, and edits laid out for it."""

    def __init__(self, model: ModelConfig) -> None:
        self._checkpoint = load_checkpoint(model)

    def threads(self) -> int:
        return torch.get_num_threads()

    def _at(self, edit: Edit) -> Checkpoint:
        """The checkpoint with a working canvas as large as the photo."""
        return dataclasses.replace(self._checkpoint, vae_area=edit.side**2)

    def _task(self, edit: Edit) -> CanvasTask:
        job = edit.job()
        return Layout.of(job, self._at(edit)).task(job)


class StockSide(Side):
    """The plain ``pipeline(...)`` call of diffusers."""

    def edit(self, edit: Edit) -> tuple[float, RGB]:
        """From pixels to pixels; also its seconds."""
        task = self._task(edit)
        started = time.perf_counter()
        pixels = call_stock(self._at(edit), task, "np")
        levels = (pixels[0] * 255).round().astype(np.uint8)
        return time.perf_counter() - started, levels

    def denoise(self, edits: Sequence[Edit]) -> tuple[float, list[Latents]]:
        """Denoise one after another; the seconds of denoising alone, and the latents."""
        timed = [self._denoise(edit) for edit in edits]
        return sum(seconds for seconds, _ in timed), [latents for _, latents in timed]

    def _denoise(self, edit: Edit) -> tuple[float, Latents]:
        """Time from the first call of the transformer to the end of the last step."""
        marks: list[float] = []

        def first_forward(*_: Any) -> None:
            if not marks:
                marks.append(time.perf_counter())

        hook = self._checkpoint.pipeline.transformer.register_forward_pre_hook(first_forward)
        try:
            latents = call_stock(
                self._at(edit),
                self._task(edit),
                "latent",
                lambda _: marks.append(time.perf_counter()),
            )
        finally:
            hook.remove()
        return marks[-1] - marks[0], latents.numpy()


class EngineSide(Side):
    """This engine, with its device thread."""

    def __init__(self, model: ModelConfig, max_batch_size: int) -> None:
        super().__init__(model)
        # The same edit is timed again and again: nothing may be remembered of the time before.
        self._engine = Engine(self._checkpoint, EngineConfig(reuse_bytes=0))
        # For comparing batches: whoever is there shares the next step.
        config = EngineConfig(max_batch_size=max_batch_size)
        policy = ProcessorSharing(max_batch_size)
        self._batches = DeviceLoop(self._checkpoint, config, policy, beside=False)

    def edit(self, edit: Edit) -> tuple[float, RGB]:
        """From pixels to pixels, through threads and event loop; also its seconds."""
        job = edit.job()
        with asyncio.Runner() as runner:
            runner.get_loop()  # made before the clock starts
            started = time.perf_counter()
            edited = runner.run(self._engine.edit(job))
            return time.perf_counter() - started, edited.pixels

    def denoise(self, edits: Sequence[Edit]) -> tuple[float, list[Latents]]:
        """Denoise all together; the seconds their steps took, and the latents.

        The engine charges every request with the duration of each step it took part in. All
        start together, so the one with most steps was in every step and holds the sum.
        Raises ``RuntimeError`` if they did not start together.
        """
        shared: list[int] = []

        def listen(event: CanvasEvent) -> None:
            if isinstance(event, CanvasStep) and event.step == 1:
                shared.append(event.batch_size)

        tickets = [Ticket(self._task(edit), listen) for edit in edits]

        def submit_all(event: CanvasEvent) -> None:
            if isinstance(event, CanvasStep):
                for ticket in tickets:
                    self._batches.submit(ticket)

        # Submitted between two steps of another edit, they all join the next one.
        gate = Ticket(self._task(edits[0]._replace(steps=1)), submit_all)
        self._batches.submit(gate)
        gate.future.result()
        results = [ticket.future.result() for ticket in tickets]
        if shared != [len(edits)] * len(edits):
            raise RuntimeError("The requests did not start in one batch, so the sum is not theirs.")
        seconds = max(result.seconds["denoise"] for result in results)
        return seconds, [result.latents.numpy() for result in results]

    def denoise_alone(self, edits: Sequence[Edit]) -> float:
        """Denoise one after another; the seconds of denoising alone."""
        return sum(self.denoise([edit])[0] for edit in edits)

    def close(self) -> None:
        self._engine.close()
        self._batches.close()
