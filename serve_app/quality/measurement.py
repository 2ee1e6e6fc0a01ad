"""What a check measures: a number and the evidence behind it, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serve_app.quality.report import CheckStatus


@dataclass(frozen=True, slots=True)
class Measurement:
    """``value`` is compared with the limits of the table.

    Without one, ``status`` tells why: ``skipped`` (what it needs is not configured) or
    ``unsupported`` (this input can't be judged), with a ``reason`` in ``evidence``. Evidence
    that lies somewhere is under ``boxes``: lists of left, top, right, bottom in pixels of the
    original.
    """

    value: float | None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    status: CheckStatus | None = None

    @classmethod
    def skipped(cls, reason: str) -> Measurement:
        """It applies, but what it needs is not configured."""
        return cls(None, {"reason": reason}, CheckStatus.SKIPPED)

    @classmethod
    def unsupported(cls, reason: str, **evidence: Any) -> Measurement:
        """It applies, but can't judge this input."""
        return cls(None, {"reason": reason, **evidence}, CheckStatus.UNSUPPORTED)
