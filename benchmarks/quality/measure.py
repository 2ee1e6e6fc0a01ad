"""Judging every sample of the suite, and what is kept of it: values and statuses, no pixels."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.quality.suite import Sample, Split, samples
from serve_app.config import QualityConfig
from serve_app.quality.report import Verdict
from serve_app.quality.validator import Validator

SEED_SSIM = 0.75
"""The method this replaces: global SSIM from here on, and …"""

SEED_CLARITY = 100.0
"""… a variance of the Laplacian from here on pass, whatever was asked."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One sample and what was said of it; ``checks`` has (status, value) by name."""

    photo: str
    split: str
    kind: str
    good: bool
    strength: int | None
    group: str
    edit_type: str
    verdict: str
    checks: dict[str, tuple[str, float | None]]

    @property
    def rejected(self) -> bool:
        """Whether ours fails it."""
        return self.verdict == Verdict.FAIL

    @property
    def rejected_by_seed_method(self) -> bool:
        """Whether global SSIM and clarity would fail it."""
        similarity, clarity = self.checks["ssim"][1], self.checks["seed_clarity"][1]
        return (similarity or 0.0) < SEED_SSIM or (clarity or 0.0) < SEED_CLARITY


def judge_all(split: Split, scale: float) -> list[Judged]:
    """Judge all samples of ``split`` on all cores; one thread each."""
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers) as pool:
        parts = [pool.submit(_judge_part, split, scale, part, workers) for part in range(workers)]
        return [judged for part in parts for judged in part.result()]


def judge(validator: Validator, sample: Sample) -> Judged:
    """Judge one sample."""
    report = validator.judge(sample.case)
    checks = {check.name: (str(check.status), check.value) for check in report.checks}
    clarity = report.check("clarity")
    edited = None if clarity is None else clarity.evidence.get("edited")
    checks["seed_clarity"] = ("info", edited)
    return Judged(
        photo=sample.photo,
        split=str(sample.split),
        kind=sample.kind,
        good=sample.good,
        strength=sample.strength,
        group=sample.group,
        edit_type=str(sample.case.edit_type),
        verdict=str(report.verdict),
        checks=checks,
    )


def save(judged: Iterable[Judged], path: Path) -> None:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in judged))


def load(path: Path) -> list[Judged]:
    """Read what ``save`` wrote."""
    return [Judged(**json.loads(line)) for line in path.read_text().splitlines()]


def _judge_part(split: Split, scale: float, part: int, parts: int) -> list[Judged]:
    validator = Validator.open(QualityConfig(threads=1))
    return [judge(validator, sample) for sample in _part(samples(split, scale), part, parts)]


def _part(every: Iterable[Sample], part: int, parts: int) -> Iterator[Sample]:
    """Each worker takes whole groups, which share their base edit."""
    for sample in every:
        if sum(sample.group.encode()) % parts == part:
            yield sample
