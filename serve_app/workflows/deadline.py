"""How long a caller still waits, and what that does to a result."""

from __future__ import annotations

import time

from serve_app.edits.planning import EditPlan
from serve_app.edits.result import EditResult
from serve_app.quality.report import Verdict


class Deadline:
    """``seconds`` from its creation; without them there is always time."""

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def left_s(self) -> float | None:
        """Seconds that are left, at least 0; ``None`` without a deadline."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def leaves(self, seconds: float) -> bool:
        """Whether there is time for something that takes ``seconds``."""
        left_s = self.left_s()
        return left_s is None or left_s > seconds


def cut_short(plan: EditPlan, result: EditResult) -> bool:
    """Whether ``result`` is a failure that this caller's deadline kept from a next try.

    Whoever asks for the same edit and has more time is owed that try.
    """
    return (
        plan.request.deadline_s is not None
        and result.verdict == Verdict.FAIL
        and result.attempts < plan.max_attempts
    )
