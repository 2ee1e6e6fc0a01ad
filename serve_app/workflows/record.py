"""The record of a finished edit: everything needed to make it again, and why it was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serve_app import __version__
from serve_app.edits.attempt import AttemptPlan
from serve_app.edits.job import EditedImage
from serve_app.edits.model import ModelDescription
from serve_app.edits.planning import EditPlan
from serve_app.edits.result import EditResult
from serve_app.images.pixels import RGB
from serve_app.quality.repair import Mended
from serve_app.quality.report import Report
from serve_app.storage.results import new_result_id
from serve_app.workflows.re_editing import Stop, Tried


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One try as it came out, with the seconds that each stage and all of it took."""

    plan: AttemptPlan
    edited: EditedImage
    mended: Mended
    seconds: dict[str, float]
    took_s: float

    @property
    def report(self) -> Report:
        """What was said of it, repairs included."""
        return self.mended.report

    @property
    def pixels(self) -> RGB:
        """Its picture, mended where that made it better."""
        return self.edited.pixels if self.mended.pixels is None else self.mended.pixels

    @property
    def tried(self) -> Tried:
        """What the policy of re-editing knows of it."""
        return Tried(self.plan, self.report)

    def seconds_of(self, planned: AttemptPlan) -> float:
        """Seconds that ``planned`` would take by this one: denoising goes with the forwards."""
        more = planned.forwards / self.plan.forwards - 1.0
        return self.took_s + more * self.seconds.get("denoise", 0.0)

    def to_json(self) -> dict[str, Any]:
        """The attempt as it stands in the record."""
        record = self.plan.to_json() | {
            "report": self.report.to_json(),
            "seconds": {stage: round(taken, 4) for stage, taken in self.seconds.items()},
        }
        if self.mended.repairs:
            record["repairs"] = [str(repair) for repair in self.mended.repairs]
            record["report_before_repairs"] = self.mended.first.to_json()
        return record


def best_of(attempts: Sequence[Attempt]) -> Attempt:
    """The attempt with the mildest report (``Report.severity``), of equal ones the earliest."""
    return min(attempts, key=lambda attempt: (attempt.report.severity, attempt.plan.number))


def make_result(
    plan: EditPlan,
    model: ModelDescription,
    attempts: Sequence[Attempt],
    stopped: Stop,
    png: bytes,
    seconds: float,
) -> EditResult:
    """Put the best of ``attempts``, encoded as ``png``, and its record together."""
    best = best_of(attempts)
    height, width, _ = best.pixels.shape
    result_id = new_result_id()
    verdict = str(best.report.verdict)
    metadata = {
        "id": result_id,
        "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "service_version": __version__,
        "model": {
            "name": model.name,
            "family": model.family,
            "revision": model.revision,
            "miniature": model.miniature,
            "dtype": model.dtype,
        },
        "content_key": plan.key,
        "request": plan.request.to_json(),
        "plan": plan.to_json(),
        "seed": best.plan.seed,
        "verdict": verdict,
        "report": best.report.to_json(),
        "kept_attempt": best.plan.number,
        "stopped": str(stopped),
        "attempts": [attempt.to_json() for attempt in attempts],
        "width": width,
        "height": height,
        "seconds": round(seconds, 4),
    }
    return EditResult(
        id=result_id,
        png=png,
        width=width,
        height=height,
        seed=best.plan.seed,
        verdict=verdict,
        attempts=len(attempts),
        metadata=metadata,
    )
