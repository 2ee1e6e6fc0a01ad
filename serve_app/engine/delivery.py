"""How tickets end: with a result, with an error of their own, or because their caller left."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress

from serve_app.engine.state import CanvasResult, Ticket
from serve_app.errors import EditFailed, EditServiceError

logger = logging.getLogger(__name__)

_FAILED = "The model could not edit this image. Try again, or another size or prompt."


class Delivery:
    """Resolves tickets and counts their ends; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.finished = 0
        """Edits decoded and delivered."""
        self.withdrawn = 0
        """Edits left unfinished because their caller went away."""
        self.failures = 0
        """Edits that failed here since the last one that did not."""
        self.progressed_at = time.monotonic()
        """When a stage last ended, by ``time.monotonic``."""

    def watch(self, ticket: Ticket) -> None:
        """Count ``ticket`` when its caller leaves."""
        ticket.future.add_done_callback(self._note_withdrawal)

    def finish(self, ticket: Ticket, result: CanvasResult) -> None:
        """Deliver ``result``, unless the caller has gone."""
        with self._lock:
            self.failures = 0
            self.finished += 1  # before, so that whoever has the result finds it counted
        try:
            ticket.future.set_result(result)
        except InvalidStateError:
            with self._lock:
                self.finished -= 1

    def fail(self, ticket: Ticket, error: Exception) -> None:
        """Deliver ``error``; what is not one of ours is logged and hidden behind one that is."""
        if not isinstance(error, EditServiceError):
            with self._lock:
                self.failures += 1
            # Without the message: a library may quote the prompt in it.
            frames = "".join(traceback.format_tb(error.__traceback__))
            ticket.context.copy().run(
                logger.error, "an edit failed with %s\n%s", type(error).__name__, frames
            )
            error = EditFailed(_FAILED)
        with suppress(InvalidStateError):  # the caller has gone
            ticket.future.set_exception(error)

    @contextmanager
    def blaming(self, ticket: Ticket) -> Iterator[None]:
        """Whatever fails inside fails ``ticket`` and nobody else."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - one bad request must not stop the thread
            self.fail(ticket, error)
        finally:
            self.note_progress()

    def note_progress(self) -> None:
        """A stage has ended: the device is alive."""
        self.progressed_at = time.monotonic()

    def _note_withdrawal(self, future: Future[CanvasResult]) -> None:
        if future.cancelled():
            with self._lock:
                self.withdrawn += 1
