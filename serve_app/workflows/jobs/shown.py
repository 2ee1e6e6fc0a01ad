"""What a contact sheet shows of a job: which pictures, under which words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from serve_app.images.contact_sheet import Tone
from serve_app.quality.report import Verdict
from serve_app.workflows.brand_sets.plan import BrandSet
from serve_app.workflows.jobs.job import Job, JobState, StepRecord
from serve_app.workflows.jobs.plan import JobKind

_VERDICTS: dict[str, tuple[str, Tone]] = {
    Verdict.PASS: ("pass", "good"),
    Verdict.PASS_UNVERIFIED: ("pass, unverified", "good"),
    Verdict.FAIL: ("fail", "bad"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of the sheet; ``image`` is ``None`` where none came of it."""

    image: str | None
    title: str
    lines: tuple[str, ...] = ()
    tone: Tone = "plain"


def shown_of(job: Job) -> list[Shown]:
    """All pictures of a job, with the one that it began with.

    Those of a brand set are in rows of ``columns_of``: all formats of a variation side by side.
    """
    if job.plan.brand_set is not None:
        return [*_formats(job, job.plan.brand_set), Shown(job.plan.images[0], "made of")]
    before = Shown(job.plan.images[0], "before")
    return [before, *(_step(job, record) for record in job.steps)]


def columns_of(job: Job) -> int | None:
    """How many pictures are side by side; ``None`` if it does not matter."""
    brand_set = job.plan.brand_set
    if brand_set is None:
        return None
    formats, variations = len(brand_set.targets), len(brand_set.variations)
    # Many variations go several to a row, or the page would be a strip.
    return formats * max(1, math.isqrt(variations // formats))


def _step(job: Job, record: StepRecord) -> Shown:
    plan = job.plan.steps[record.index]
    named = plan.name if job.kind is JobKind.VARIANTS else f"{record.index + 1}"
    title = f"{named}: {plan.description or plan.hypothesis or plan.parameters['prompt']}"
    if record.result is None:
        return Shown(None, title, (_why_none(record),), "bad")
    verdict, tone = _VERDICTS[str(record.verdict)]
    lines = [f"{verdict}, seed {record.seed}"]
    if record.drift is not None and record.drift["percent"] is not None:
        mended = ", laid back" if record.drift["repaired"] else ""
        lines.append(f"drift {record.drift['percent']:.2f} % of the diagonal{mended}")
    return Shown(record.result, title, tuple(lines), tone)


def _formats(job: Job, brand_set: BrandSet) -> Iterator[Shown]:
    for record in job.steps:
        made = {output["target"]: output for output in record.outputs}
        variation, targets = brand_set.of_step(record.index)
        for target in targets:
            title = f"{target.name}, {target.size}"
            if (output := made.get(target.name)) is None:
                yield Shown(record.result, title, (variation.name, _why_none(record)), "bad")
                continue
            verdict, tone = _VERDICTS[str(record.verdict)]
            lines = [f"{variation.name}, {verdict}"]
            if (colours := output["brand_colors"]) is not None:
                lines.append(f"{100 * colours['share']:.0f} % in the brand's colours")
            yield Shown(output["file"], title, tuple(lines), tone)


def _why_none(record: StepRecord) -> str:
    if record.error is not None:
        return str(record.error["message"])
    return "not run" if record.state is JobState.SKIPPED else str(record.state)
