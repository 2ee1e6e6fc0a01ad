"""What a report is told beside the results themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

from serve_app.config import LimitsConfig, QualityConfig


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """``rows`` counts the whole manifest; ``resume`` is the command that goes on with the run.

    ``manifest`` is what the user called it. Pictures are read within ``limits``, and the checks
    of ``quality`` say which of their values are failures.
    """

    title: str
    manifest: str
    rows: int
    resume: str
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
