"""Whoever watches edits come and go, and how one edit is watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from serve_app.edits.result import EditOutcome
from serve_app.errors import EditServiceError


class EditObserver(Protocol):
    """Told of each edit that it began, and then once how it ended; must not block or raise."""

    def began(self) -> None:
        """An edit waits or runs from now on."""

    def completed(self, outcome: EditOutcome, seconds: float) -> None:
        """It was answered after ``seconds``."""

    def failed(self, code: str) -> None:
        """It ended with an error of this code."""

    def withdrawn(self) -> None:
        """Its caller left before there was an answer."""


class EditObservers:
    """Several observers as one."""

    def __init__(self, *observers: EditObserver) -> None:
        self._observers = observers

    def began(self) -> None:
        """Tell all that an edit waits or runs from now on."""
        for observer in self._observers:
            observer.began()

    def completed(self, outcome: EditOutcome, seconds: float) -> None:
        """Tell all that it was answered after ``seconds``."""
        for observer in self._observers:
            observer.completed(outcome, seconds)

    def failed(self, code: str) -> None:
        """Tell all that it ended with an error of this code."""
        for observer in self._observers:
            observer.failed(code)

    def withdrawn(self) -> None:
        """Tell all that its caller left before there was an answer."""
        for observer in self._observers:
            observer.withdrawn()


@contextmanager
def observed(observer: EditObserver | None) -> Iterator[Callable[[EditOutcome], None]]:
    """Tell ``observer`` of an edit that the block runs; the block hands over the outcome."""
    if observer is None:
        yield lambda _: None
        return
    started, told = time.monotonic(), False

    def complete(outcome: EditOutcome) -> None:
        nonlocal told
        told = True
        observer.completed(outcome, time.monotonic() - started)

    observer.began()
    failure: str | None = None
    try:
        yield complete
    except EditServiceError as error:
        failure = error.code
        raise
    except Exception:
        failure = EditServiceError.code  # what the caller is told of a failure of our own
        raise
    finally:
        # What happens after the answer, such as a reader of the stream who leaves, is no end.
        if not told and failure is not None:
            observer.failed(failure)
        elif not told:
            observer.withdrawn()
