"""The encoders and the decoder: beside the steps on a GPU, between them elsewhere.

On a GPU each has a thread and a stream of its own, so that the device never waits for resizing,
tokenizing or copying. On a CPU, and where components share the device by turns (offloading),
they would only be in the way of the steps.

One VAE may encode and decode at once: what it keeps between frames is apart for both, and an
image has one frame. Two decodings at once would mix; there is one thread for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial

import torch

from serve_app.engine.backlog import Backlog, Job
from serve_app.engine.costs import Costs
from serve_app.engine.decode import decode, heading
from serve_app.engine.delivery import Delivery
from serve_app.engine.device_memory import DeviceMemory, is_out_of_memory
from serve_app.engine.encode import encode
from serve_app.engine.encoders import Encoders
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import (
    CanvasPreview,
    CanvasResult,
    DenoisingState,
    Ticket,
)
from serve_app.errors import EditTooLarge

Pick = Callable[[], Job | None]
"""What is done next, if there is anything; called with the backlog's lock."""


class Stages:
    """Encodes and decodes, each one at a time.

    A job that runs out of memory is done again by the device thread between two steps, where
    it has the device to itself; if it fails there, too, its request does.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        encoders: Encoders,
        backlog: Backlog,
        delivery: Delivery,
        memory: DeviceMemory,
        costs: Costs,
    ) -> None:
        self._checkpoint = checkpoint
        self._encoders = encoders
        self._backlog = backlog
        self._delivery = delivery
        self._memory = memory
        self._costs = costs
        self._deferred: list[Job] = []
        self._threads: list[threading.Thread] = []
        self._working: list[threading.Lock] = []

    def start(self, picks: Mapping[str, Pick], on_end: Callable[[], None]) -> None:
        """Run beside the steps from now on: a thread for each of ``picks``, by its name.

        ``on_end`` is called however a thread ends.
        """
        for name, pick in picks.items():
            working = threading.Lock()
            arguments = (pick, working, on_end)
            thread = threading.Thread(target=self._run, args=arguments, name=name, daemon=True)
            self._working.append(working)
            self._threads.append(thread)
        for thread in self._threads:
            thread.start()

    @property
    def beside(self) -> bool:
        """Whether there are threads for it."""
        return bool(self._threads)

    @property
    def alive(self) -> bool:
        """Whether all of them run."""
        return all(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        """Wait until all have ended, after the backlog was closed."""
        for thread in self._threads:
            thread.join()

    def _run(self, pick: Pick, working: threading.Lock, on_end: Callable[[], None]) -> None:
        try:
            with torch.no_grad(), _own_stream(self._checkpoint):
                while (job := self._next_job(pick)) is not None:
                    with working:
                        job()
                    del job  # it holds a request's tensors
        finally:
            on_end()

    def _next_job(self, pick: Pick) -> Job | None:
        """Wait for something to do; ``None`` at the end."""
        with self._backlog.changed:
            while not self._backlog.closed:
                if (job := pick()) is not None:
                    return job
                self._backlog.changed.wait()
        return None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Wait until the present jobs are done, and let none start meanwhile."""
        with ExitStack() as stack:
            for working in self._working:
                stack.enter_context(working)
            yield

    def has_deferred(self) -> bool:
        """Whether a job waits for the device thread."""
        return bool(self._deferred)

    def run_deferred(self) -> None:
        """Do, on the device thread, what has run out of memory beside the steps."""
        while self._deferred:
            with self.paused():
                self._checkpoint.release_memory()
                self._deferred.pop(0)()

    def run_jobs(self) -> None:
        """Do all decodings, on the device thread."""
        while (job := self._backlog.take_job()) is not None:
            job()

    def encode(self, ticket: Ticket, last: bool = True) -> None:
        """Encode ``ticket`` and hand it to the steps; ``last`` if there is no other try."""
        if ticket.future.done():
            return
        again = partial(self._defer_or_refuse, last, ticket, partial(self.encode, ticket))
        with self._delivery.blaming(ticket), _on_shortage(again):
            started = time.monotonic()
            if ticket.task.lora is not None:
                self._checkpoint.adapters.read(ticket.task.lora.name)
            state = encode(self._encoders, ticket)
            self._checkpoint.synchronize()
            ticket.seconds["queue"] = started - ticket.submitted
            ticket.seconds["encode"] = time.monotonic() - started
            ticket.seconds["denoise"] = 0.0
            self._costs.encoding.observe(state.key.tokens, 1, ticket.seconds["encode"])
            ticket.work.encoded = True
            self._backlog.put_encoded(state)

    def put_preview(self, state: DenoisingState) -> None:
        """Decode what ``state`` is heading for now; later steps don't change it."""
        moment = partial(heading, state, state.latents, state.velocity, state.step)
        self._backlog.put_job(state.ticket, partial(self._preview, state, moment))

    def put_finished(self, state: DenoisingState) -> None:
        """Decode ``state`` and deliver it."""
        self._backlog.put_job(state.ticket, partial(self._finish, state, last=False))

    def _preview(self, state: DenoisingState, moment: Callable[[], torch.Tensor]) -> None:
        ticket = state.ticket
        if ticket.future.done():
            return
        with self._delivery.blaming(ticket), _on_shortage(lambda: None):  # an edit can do without
            pixels, _ = decode(self._checkpoint, moment(), state)
            ticket.tell(CanvasPreview(pixels))

    def _finish(self, state: DenoisingState, last: bool) -> None:
        ticket = state.ticket
        if ticket.future.done():
            return
        again = partial(
            self._defer_or_refuse, last, ticket, partial(self._finish, state, last=True)
        )
        with self._delivery.blaming(ticket), _on_shortage(again):
            started = time.monotonic()
            pixels, finite = decode(self._checkpoint, state.latents, state)
            ticket.seconds["decode"] = time.monotonic() - started
            self._costs.decoding.observe(state.key.tokens, 1, ticket.seconds["decode"])
            result = CanvasResult(pixels, finite, state.latents, ticket.seconds)
            self._delivery.finish(ticket, result)

    def _defer_or_refuse(self, last: bool, ticket: Ticket, again: Job) -> None:
        if last:
            # Not raised from the shortage: that would keep what it had allocated.
            self._delivery.fail(ticket, EditTooLarge(self._memory.too_large(ticket.task)))
            return
        self._deferred.append(again)
        self._backlog.wake()


@contextmanager
def _on_shortage(act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` instead of raising, if memory runs out inside."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        act()


def _own_stream(checkpoint: Checkpoint) -> AbstractContextManager[object]:
    """A stream beside that of the steps, on a GPU."""
    device = torch.device(checkpoint.description.device)
    if device.type != "cuda":
        return nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(device))
