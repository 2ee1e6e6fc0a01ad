"""One step of a batch, and what is done when it fails: again in halves, down to one request."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from serve_app.engine.costs import StepCosts
from serve_app.engine.delivery import Delivery
from serve_app.engine.denoise import Batch, advance, predict
from serve_app.engine.device_memory import DeviceMemory, is_out_of_memory
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import DenoisingState
from serve_app.errors import EditTooLarge

Made = Callable[[list[DenoisingState], float], None]
"""Told of each step that was made: who shared it, and its seconds."""


class SharedStep:
    """Makes steps on the device thread. A failing request takes only itself down.

    A step that fails is repeated in halves until the request at fault is alone. If memory ran
    out, its size is remembered and not tried again; a request alone is then run row by row,
    and at last without any encoder or decoder beside it.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        memory: DeviceMemory,
        delivery: Delivery,
        costs: StepCosts,
        stack_guidance: bool,
        alone: Callable[[], AbstractContextManager[None]],
        made: Made,
    ) -> None:
        self._checkpoint = checkpoint
        self._memory = memory
        self._delivery = delivery
        self._costs = costs
        self._stack_guidance = stack_guidance
        self._alone = alone
        self._made = made
        self._batch: Batch | None = None

    def forget(self) -> None:
        """Drop what was laid out for the last step: it holds the tensors of those who left."""
        self._batch = None

    def run(self, states: list[DenoisingState]) -> None:
        """Denoise ``states``, which share a key, by one step."""
        rows = sum(state.ticket.work.rows for state in states)
        if len(states) > 1 and not self._memory.fits(states[0].key.tokens, rows):
            self._run_halves(states)  # its size was remembered while this was on its way
            return
        if not self._activate(states):
            return
        started = time.monotonic()
        stacked = self._stack_guidance and self._memory.fits(states[0].key.tokens, rows)
        error = self._attempt(states, stacked)
        if error is not None:
            self._recover(states, error, stacked)
            return
        self._delivery.note_progress()
        seconds = self._delivery.progressed_at - started
        self._costs.observe(states[0].key.tokens, rows, seconds)
        self._made(states, seconds)

    def _run_halves(self, states: list[DenoisingState]) -> None:
        self.run(states[: len(states) // 2])
        self.run(states[len(states) // 2 :])

    def _activate(self, states: list[DenoisingState]) -> bool:
        """Switch to the adapters of ``states``; if that fails, so do all who want them."""
        key = states[0].key
        try:
            self._checkpoint.adapters.activate(key.adapter, key.few_step)
        except Exception as error:  # noqa: BLE001 - a bad file must not stop the thread
            for state in states:
                self._delivery.fail(state.ticket, error)
            return False
        return True

    def _attempt(self, states: list[DenoisingState], stacked: bool) -> Exception | None:
        """Make the step, or return why it could not be made; then nobody has changed.

        The error must not leave with its traceback: that holds the forward's activations, and
        the next try would find their memory taken.
        """
        try:
            velocities = self._predict(states, stacked)
            # A GPU runs behind the host: an error would come later, and nobody could join.
            self._checkpoint.synchronize()
        except Exception as error:  # noqa: BLE001 - whose fault it is shows when run alone
            return error.with_traceback(None) if is_out_of_memory(error) else error
        for state, velocity in zip(states, velocities, strict=True):
            with self._delivery.blaming(state.ticket):
                advance(state, velocity)
        self._checkpoint.synchronize()
        return None

    def _predict(self, states: list[DenoisingState], stacked: bool) -> list[torch.Tensor]:
        if self._batch is None or self._batch.states != tuple(states):
            self._batch = Batch.of(states, stacked)
        return predict(self._checkpoint.pipeline.transformer, self._batch)

    def _recover(self, states: list[DenoisingState], error: Exception, stacked: bool) -> None:
        self.forget()
        if is_out_of_memory(error):
            self._remember(states, stacked)
            self._checkpoint.release_memory()
        if len(states) > 1:
            self._run_halves(states)
        elif not is_out_of_memory(error):
            self._delivery.fail(states[0].ticket, error)
        elif stacked and states[0].negative is not None:
            self.run(states)  # one row at a time now
        else:
            self._last_try(states[0])

    def _remember(self, states: list[DenoisingState], stacked: bool) -> None:
        rows = sum(state.ticket.work.rows if stacked else 1 for state in states)
        if rows > 1:  # a row alone may have failed because of what ran beside it
            self._memory.failed(states[0].key.tokens * rows)

    def _last_try(self, state: DenoisingState) -> None:
        started = time.monotonic()
        with self._alone():
            self._checkpoint.release_memory()
            error = self._attempt([state], stacked=False)
        if error is None:
            self._delivery.note_progress()
            self._made([state], time.monotonic() - started)
            return
        self.forget()
        if is_out_of_memory(error):
            self._memory.failed(state.key.tokens, alone=True)
            error = EditTooLarge(self._memory.too_large(state.ticket.task))
        self._delivery.fail(state.ticket, error)
