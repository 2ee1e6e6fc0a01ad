"""The one thread that owns the device: admits, steps, finishes, one step at a time.

Between any two steps requests join, leave because they are finished, or leave because
their caller went away. Work that arrives while the device is busy waits in a mailbox, so
batches form when the device is free and hold whoever is there.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from concurrent.futures import InvalidStateError
from contextlib import contextmanager, suppress

import torch

from serve_app.engine.decode import decode, preview
from serve_app.engine.denoise import Batch, advance, predict
from serve_app.engine.encode import encode
from serve_app.engine.load import Checkpoint
from serve_app.engine.schedule import next_batch
from serve_app.engine.state import CanvasResult, CanvasStep, DenoisingState, Ticket
from serve_app.errors import EditFailed, EditServiceError, NotReady

logger = logging.getLogger(__name__)

_SHUTTING_DOWN = "This editor is shutting down. Send the request again."
_FAILED = "The model could not edit this image. Try again, or another size or prompt."


class DeviceLoop:
    """Runs tickets to their end on its own thread; everything public is thread-safe.

    A failing request takes only itself down: errors while encoding or decoding belong to
    one ticket, and a failed shared step is repeated in halves, down to the request at fault.
    """

    def __init__(self, checkpoint: Checkpoint, max_batch_size: int) -> None:
        self._checkpoint = checkpoint
        self._max_batch_size = max_batch_size
        self._mailbox: deque[Ticket] = deque()
        self._active: list[DenoisingState] = []
        self._batch: Batch | None = None
        self._wake = threading.Condition()
        self._closed = False
        self.steps = 0
        """Steps made, however many requests shared them."""
        self.finished = 0
        """Edits decoded and delivered."""
        self.withdrawn = 0
        """Edits left unfinished because their caller went away."""
        self.share_seconds = 0.0
        """Smoothed seconds of a step for each request in it; 0 before the first step."""
        self.failures = 0
        """Edits that failed here since the last one that did not."""
        self.progressed_at = time.monotonic()
        """When the thread last finished something, by ``time.monotonic``."""
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)
        self._thread.start()

    def submit(self, ticket: Ticket) -> None:
        """Queue a ticket; its future resolves from the device thread."""
        with self._wake:
            if self._closed:
                raise NotReady(_SHUTTING_DOWN)
            if not self._mailbox and not self._active:
                self.progressed_at = time.monotonic()
            self._mailbox.append(ticket)
            self._wake.notify()

    @property
    def alive(self) -> bool:
        """Whether the device thread runs."""
        return self._thread.is_alive()

    def pending(self) -> int:
        """Tickets that wait or run."""
        with self._wake:
            return len(self._mailbox) + len(self._active)

    def remaining_steps(self) -> int:
        """Denoising steps left in everything that waits or runs."""
        with self._wake:
            waiting = sum(ticket.task.num_inference_steps for ticket in self._mailbox)
            return waiting + sum(state.remaining_steps for state in self._active)

    def close(self) -> None:
        """Stop after the current step; whatever has not finished fails with ``NotReady``."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    @torch.no_grad()
    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._drop_settled()
                self._admit()
                self._step(next_batch(self._active, self._max_batch_size))
                self._finish()
        finally:
            self._refuse_rest()

    def _wait_for_work(self) -> bool:
        with self._wake:
            self._wake.wait_for(lambda: self._closed or self._mailbox or self._active)
            return not self._closed

    def _drop_settled(self) -> None:
        """Free the places of those whose caller went away or whose edit failed."""
        with self._wake:
            waiting = [ticket for ticket in self._mailbox if not ticket.future.cancelled()]
            self.withdrawn += len(self._mailbox) - len(waiting)
            self._mailbox = deque(waiting)
        self.withdrawn += sum(state.ticket.future.cancelled() for state in self._active)
        self._keep([state for state in self._active if not state.ticket.future.done()])

    def _admit(self) -> None:
        """Encode newcomers while there is room for them."""
        while self._mailbox and len(self._active) < self._max_batch_size:
            # It waits in the mailbox until it is encoded, so that it counts as pending.
            ticket = self._mailbox[0]
            state = self._encode(ticket)
            with self._wake:
                self._mailbox.popleft()
                if state is not None:
                    self._active.append(state)

    def _encode(self, ticket: Ticket) -> DenoisingState | None:
        if ticket.future.cancelled():
            self.withdrawn += 1
            return None
        with self._blaming(ticket):
            started = time.monotonic()
            state = encode(self._checkpoint, ticket)
            ticket.seconds["queue"] = started - ticket.submitted
            ticket.seconds["encode"] = time.monotonic() - started
            ticket.seconds["denoise"] = 0.0
            state.last_served = self.steps
            return state
        return None

    def _step(self, states: list[DenoisingState]) -> None:
        """Denoise ``states`` by one step; if that fails, in halves to find the one at fault."""
        if not states:
            return
        started = time.monotonic()
        velocities = self._predict(states)
        if velocities is None:
            if len(states) > 1:
                self._step(states[: len(states) // 2])
                self._step(states[len(states) // 2 :])
            return
        for state, velocity in zip(states, velocities, strict=True):
            with self._blaming(state.ticket):
                advance(state, velocity)
        # A GPU runs behind the host: without waiting, nobody could join or leave in time.
        self._checkpoint.synchronize()
        elapsed = self._note_step(states, started)
        for state in states:
            state.ticket.seconds["denoise"] += elapsed
            with self._blaming(state.ticket):
                self._report(state, len(states))

    def _predict(self, states: list[DenoisingState]) -> list[torch.Tensor] | None:
        """The velocities, or ``None`` if the forward failed; a lone request fails with it.

        The error ends here: its traceback holds the forward's activations, and the next
        try would find their memory taken.
        """
        try:
            if self._batch is None or self._batch.states != tuple(states):
                self._batch = Batch.of(states)
            return predict(self._checkpoint.pipeline.transformer, self._batch)
        except Exception as error:  # noqa: BLE001 - whose fault it is shows when run alone
            self._batch = None
            if len(states) == 1:
                self._fail(states[0].ticket, error)
        self._checkpoint.release_memory()
        return None

    def _note_step(self, states: list[DenoisingState], started: float) -> float:
        self._note_progress()
        elapsed = self.progressed_at - started
        share, known = elapsed / len(states), self.share_seconds
        self.share_seconds = 0.8 * known + 0.2 * share if known else share
        self.steps += 1
        for state in states:
            state.last_served = self.steps
        return elapsed

    def _report(self, state: DenoisingState, batch_size: int) -> None:
        if state.ticket.listener is None:
            return
        wanted = state.step in state.preview_steps
        pixels = preview(self._checkpoint, state) if wanted else None
        state.ticket.listener(CanvasStep(state.step, len(state.timesteps), batch_size, pixels))

    def _finish(self) -> None:
        for state in [state for state in self._active if state.done]:
            ticket, started = state.ticket, time.monotonic()
            with self._blaming(ticket):
                pixels, finite = decode(self._checkpoint, state.latents, state)
                ticket.seconds["decode"] = time.monotonic() - started
                result = CanvasResult(pixels, finite, state.latents, ticket.seconds)
                self.failures = 0
                if _resolve(ticket, result):
                    self.finished += 1
                else:
                    self.withdrawn += 1
        self._keep([state for state in self._active if not state.done])

    def _keep(self, states: list[DenoisingState]) -> None:
        if len(states) != len(self._active):
            self._batch = None  # it would keep the tensors of those who left
            with self._wake:
                self._active = states

    @contextmanager
    def _blaming(self, ticket: Ticket) -> Iterator[None]:
        """Whatever fails inside fails ``ticket`` and nobody else."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - one bad request must not stop the thread
            self._fail(ticket, error)
        finally:
            self._note_progress()

    def _note_progress(self) -> None:
        self.progressed_at = time.monotonic()

    def _refuse_rest(self) -> None:
        with self._wake:
            self._closed = True
            tickets = [*(state.ticket for state in self._active), *self._mailbox]
            self._active, self._batch = [], None
            self._mailbox.clear()
        for ticket in tickets:
            self._fail(ticket, NotReady(_SHUTTING_DOWN))

    def _fail(self, ticket: Ticket, error: Exception) -> None:
        if not isinstance(error, EditServiceError):
            self.failures += 1
            # Without the message: a library may quote the prompt in it.
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error("an edit failed with %s\n%s", type(error).__name__, frames)
            error = EditFailed(_FAILED)
        with suppress(InvalidStateError):  # the caller has gone
            ticket.future.set_exception(error)


def _resolve(ticket: Ticket, result: CanvasResult) -> bool:
    """Deliver ``result``; false if the caller has gone."""
    try:
        ticket.future.set_result(result)
    except InvalidStateError:
        return False
    return True
