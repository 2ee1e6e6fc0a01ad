"""What comes back from an edit, and the record kept of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class CacheStatus(StrEnum):
    """Where an answer came from; sent as ``x-edit-cache``."""

    MISS = "miss"
    HIT = "hit"
    JOINED = "joined"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class EditResult:
    """A finished edit: immutable, so any process may keep a copy.

    ``png`` is the result, losslessly encoded; ``metadata`` is the JSON record from which
    the edit can be made again (request, planned parameters, model, attempts, verdict,
    report, timings).
    """

    id: str
    png: bytes
    width: int
    height: int
    seed: int
    verdict: str
    attempts: int
    metadata: dict[str, Any] = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Size in memory, roughly; what bytes-bounded caches count."""
        return len(self.png) + 4096


@dataclass(frozen=True, slots=True)
class EditOutcome:
    """A result and how it was come by."""

    result: EditResult
    cache: CacheStatus


@dataclass(frozen=True, slots=True)
class Waiting:
    """``position`` edits are ahead of this attempt, which is done in about ``eta_s`` seconds."""

    attempt: int
    position: int
    eta_s: float | None
    kind: Literal["waiting"] = "waiting"


@dataclass(frozen=True, slots=True)
class Progress:
    """``step`` of ``total`` denoising steps of this attempt (from 1) are done.

    ``eta_s`` is the estimate of the seconds until its image is finished.
    """

    attempt: int
    step: int
    total: int
    eta_s: float | None = None
    kind: Literal["progress"] = "progress"


@dataclass(frozen=True, slots=True)
class PartialImage:
    """A preview decoded from the latents of a running edit; ``index`` counts from 0."""

    attempt: int
    index: int
    png: bytes
    kind: Literal["partial_image"] = "partial_image"


@dataclass(frozen=True, slots=True)
class Completed:
    """The last event of every stream that did not fail."""

    outcome: EditOutcome
    kind: Literal["completed"] = "completed"


EditEvent = Waiting | Progress | PartialImage | Completed
