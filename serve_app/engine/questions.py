"""Questions that wait for the text encoder.

It belongs to one thread, and never answers beside itself: on a GPU that is the encoder's
thread, which takes questions before newcomers, since those who ask are nearest to their end.
Elsewhere the device thread answers all that wait between two steps; where components take
turns on the device (offloading), they then share one turn.
"""

from __future__ import annotations

import logging
import traceback
from concurrent.futures import Future
from functools import partial

from serve_app.edits.question import Question, Reply
from serve_app.engine.answering import Answerer, Prepared
from serve_app.engine.backlog import SHUTTING_DOWN, Backlog, Job
from serve_app.engine.load import Checkpoint
from serve_app.errors import EditServiceError, NoAnswer, NotReady, Overloaded

logger = logging.getLogger(__name__)


class Questions:
    """A queue of at most ``most`` questions, first come, first served; any thread may call it.

    Its lock is the backlog's, which the engine's threads wait on.
    """

    def __init__(self, checkpoint: Checkpoint, backlog: Backlog, most: int) -> None:
        self._answerer = Answerer(checkpoint)
        self._backlog = backlog
        self._most = most
        self._waiting: list[tuple[Prepared, Future[Reply]]] = []

    def prepare(self, question: Question) -> Prepared:
        """Do what needs no device. Raises ``InvalidRequest`` for a reserved token in the text."""
        return self._answerer.prepare(question)

    def submit(self, prepared: Prepared) -> Future[Reply]:
        """Let a question wait; cancelling the future withdraws it.

        Raises ``Overloaded`` if too many wait and ``NotReady`` after the backlog was closed.
        """
        future: Future[Reply] = Future()
        with self._backlog.changed:
            if self._backlog.closed:
                raise NotReady(SHUTTING_DOWN)
            if len(self._waiting) >= self._most:
                raise Overloaded("Too many questions are waiting. Ask again later.", None, 1.0)
            self._waiting.append((prepared, future))
            self._backlog.changed.notify_all()
        return future

    def waiting(self) -> int:
        """How many wait."""
        with self._backlog.changed:
            return len(self._waiting)

    def take(self) -> Job | None:
        """The answering of the first one; ``None`` if there is none."""
        with self._backlog.changed:
            return partial(self._answer, *self._waiting.pop(0)) if self._waiting else None

    def answer_waiting(self) -> None:
        """Answer all that wait now, on this thread."""
        for _ in range(self.waiting()):
            if (job := self.take()) is not None:
                job()

    def refuse_rest(self) -> None:
        """Let all that wait fail with ``NotReady``."""
        with self._backlog.changed:
            refused, self._waiting = self._waiting, []
        for _, future in refused:
            if future.set_running_or_notify_cancel():
                future.set_exception(NotReady(SHUTTING_DOWN))

    def _answer(self, prepared: Prepared, future: Future[Reply]) -> None:
        if not future.set_running_or_notify_cancel():
            return  # whoever asked has gone
        try:
            future.set_result(self._answerer.answer(prepared))
        except EditServiceError as error:
            future.set_exception(error)
        except Exception as error:  # noqa: BLE001 - one bad question must not stop the thread
            # Without the message: a library may quote the text in it.
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error("a question failed with %s\n%s", type(error).__name__, frames)
            future.set_exception(NoAnswer("The model could not answer this question."))
