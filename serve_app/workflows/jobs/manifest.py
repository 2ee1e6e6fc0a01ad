"""The manifest of a job: what came of it, for the programs that take it from here."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from serve_app.workflows.jobs.job import Job, JobState, StepRecord, shown_time
from serve_app.workflows.jobs.plan import JobKind


def manifest_of(job: Job) -> dict[str, Any]:
    """Everything about the pictures of a job, which are named as in its archive."""
    head = {
        "job": job.id,
        "kind": str(job.kind),
        "label": job.label,
        "created_at": shown_time(job.created_at),
        "image": job.plan.images[0],
    }
    match job.kind:
        case JobKind.BRAND_SET:
            return head | _brand_set(job)
        case JobKind.VARIANTS:
            metric = job.plan.success_metric
            variants = {str(record.name): _variant(job, record) for record in job.steps}
            return head | {"success_metric": metric, "variants": variants}
        case _:
            return head | {"history": [_edit(job, record) for record in job.steps]}


def files_of(job: Job) -> dict[str, str]:
    """Ids of the images in a job's archive by their names there."""
    if job.kind is JobKind.BRAND_SET:
        return {output["name"]: output["file"] for step in job.steps for output in step.outputs}
    made = {_file(job, record): record.result for record in job.steps if record.result is not None}
    last = [record.result for record in job.steps if record.state is JobState.SUCCEEDED]
    if job.kind is JobKind.CHAIN and last and last[-1] is not None:
        made["result.png"] = last[-1]
    return made


def _file(job: Job, record: StepRecord) -> str:
    by_name = job.kind is JobKind.VARIANTS
    return f"{record.name}.png" if by_name else f"step-{record.index + 1}.png"


def _variant(job: Job, record: StepRecord) -> dict[str, Any]:
    """``ready`` is what may be shown to people: what its checks let pass."""
    hypothesis = job.plan.steps[record.index].hypothesis
    ready = record.state is JobState.SUCCEEDED
    return {"ready": ready, "hypothesis": hypothesis} | _edit(job, record)


def _edit(job: Job, record: StepRecord) -> dict[str, Any]:
    plan = job.plan.steps[record.index]
    result = record.result
    return {
        "file": None if result is None else _file(job, record),
        "result": result,
        "url": None if result is None else f"/v1/results/{result}",
        "state": str(record.state),
        "verdict": record.verdict,
        "seed": record.seed,
        "attempts": record.attempts,
        "description": plan.description,
        "asked": plan.parameters,
        "drift": record.drift,
        "error": record.error,
    }


def _brand_set(job: Job) -> dict[str, Any]:
    brand_set = job.plan.brand_set
    if brand_set is None:
        raise ValueError("the plan of a brand set has none")
    outputs = [
        output
        | {
            "url": f"/v1/files/{output['file']}",
            "verdict": record.verdict,
            "seed": record.seed,
            "edit": record.result,
        }
        for record in job.steps
        for output in record.outputs
    ]
    missing = []
    for record in job.steps:
        if not record.outputs:
            variation, targets = brand_set.of_step(record.index)
            missing.append(
                {
                    "variation": variation.name,
                    "targets": [target.name for target in targets],
                    "state": str(record.state),
                    "error": record.error,
                }
            )
    return {
        "brand": asdict(brand_set.brand),
        "edits": sum(step.edit_result is not None for step in job.steps),
        "outputs": outputs,
        "missing": missing,
    }
