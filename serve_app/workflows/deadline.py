"""How long a caller still waits, and what that does to a result."""

from __future__ import annotations

import time

from serve_app.edits.request import EditRequest
from serve_app.edits.result import EditResult
from serve_app.quality.report import Verdict
from serve_app.workflows.re_editing import Stop

_CUT_SHORT = (Stop.TIME, Stop.TROUBLE)


class Deadline:
    """``seconds`` from its creation."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left_s(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self._at - time.monotonic())

    def leaves(self, seconds: float) -> bool:
        """Whether there is time for something that takes ``seconds``."""
        return self.left_s() > seconds


def time_limit_s(request: EditRequest, request_s: float) -> float:
    """Seconds that ``request`` may take: its own deadline, or ``limits.request_s`` before it."""
    return request_s if request.deadline_s is None else min(request_s, request.deadline_s)


def cut_short(result: EditResult) -> bool:
    """Whether ``result`` is a failure that time or trouble kept from its next try.

    Whoever asks for the same edit later is owed that try.
    """
    return result.verdict == Verdict.FAIL and result.metadata["stopped"] in _CUT_SHORT
