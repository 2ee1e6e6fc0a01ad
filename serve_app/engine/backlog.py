"""The tickets in an engine, by the stage they have reached; shared by its two threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

from serve_app.engine.state import DenoisingState, Ticket
from serve_app.errors import NotReady

SHUTTING_DOWN = "This editor is shutting down. Send the request again."

Job = Callable[[], None]
"""Work of an encoder or a decoder; must not raise."""


class Backlog:
    """Tickets wait, are encoded, are denoised, and are decoded.

    Every method may be called from any thread. ``changed`` is notified of every arrival,
    move and departure, and is the lock of everything here.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.closed = False
        self._present: dict[Ticket, None] = {}
        self._waiting: list[Ticket] = []
        self._encoded: list[DenoisingState] = []
        self._jobs: list[tuple[Ticket, Job]] = []

    def submit(self, ticket: Ticket) -> bool:
        """Let ``ticket`` wait; true if it is the only one. Raises ``NotReady`` when closed."""
        with self.changed:
            if self.closed:
                raise NotReady(SHUTTING_DOWN)
            first = not self._present
            self._present[ticket] = None
            self._waiting.append(ticket)
            self.changed.notify_all()
        # It leaves however it ends; outside the lock, since it may have ended already.
        ticket.future.add_done_callback(lambda _: self._left(ticket))
        return first

    def present(self) -> list[Ticket]:
        """Everybody who isn't done, in order of arrival."""
        with self.changed:
            return list(self._present)

    def pending(self) -> int:
        """How many aren't done."""
        with self.changed:
            return len(self._present)

    def waiting(self) -> list[Ticket]:
        """Who waits to be encoded."""
        with self.changed:
            return list(self._waiting)

    def take(self, ticket: Ticket) -> None:
        """``ticket`` waits no longer: it is being encoded, or refused."""
        with self.changed:
            self._waiting.remove(ticket)

    def put_encoded(self, state: DenoisingState) -> None:
        """Hand a request to the steps."""
        with self.changed:
            self._encoded.append(state)
            self.changed.notify_all()

    def take_encoded(self) -> list[DenoisingState]:
        """Everything that was encoded since the last call."""
        with self.changed:
            encoded, self._encoded = self._encoded, []
            return encoded

    def put_job(self, ticket: Ticket, job: Job) -> None:
        """Add a decoding for ``ticket``; those of one ticket are done in this order."""
        with self.changed:
            self._jobs.append((ticket, job))
            self.changed.notify_all()

    def decoding(self) -> list[Ticket]:
        """For whom there is a decoding to do."""
        with self.changed:
            return list(dict.fromkeys(ticket for ticket, _ in self._jobs))

    def take_job(self, ticket: Ticket | None = None) -> Job | None:
        """The first decoding, of ``ticket`` or of all; ``None`` if there is none."""
        with self.changed:
            for entry in self._jobs:
                if ticket in (None, entry[0]):
                    self._jobs.remove(entry)
                    return entry[1]
            return None

    def close(self) -> None:
        """Take nothing new."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def wake(self) -> None:
        """Let both threads look again: room was made."""
        with self.changed:
            self.changed.notify_all()

    def has_encoded(self) -> bool:
        """Whether a request waits to be taken into the steps."""
        with self.changed:
            return bool(self._encoded)

    def _left(self, ticket: Ticket) -> None:
        with self.changed:
            self._present.pop(ticket, None)
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            self.changed.notify_all()
