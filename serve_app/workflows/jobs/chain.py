"""Chains: each step edits what the one before it made, and the whole must not drift away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from serve_app.config import QualityConfig
from serve_app.edits.classification import mentions_viewpoint
from serve_app.edits.request import EditType
from serve_app.edits.result import EditResult
from serve_app.edits.text_targets import TextTargets
from serve_app.errors import EditServiceError
from serve_app.images.encoding import encode
from serve_app.images.pixels import RGB
from serve_app.quality.case import Case
from serve_app.quality.decay import decay, lay_over
from serve_app.quality.report import Report, Verdict
from serve_app.storage.results import ResultStore, new_result_id
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.durable import once
from serve_app.workflows.jobs.ending import Ending, failure_of, step_name
from serve_app.workflows.jobs.inputs import Inputs
from serve_app.workflows.jobs.insisting import insist, patiently
from serve_app.workflows.jobs.job import Job, JobState, StepRecord
from serve_app.workflows.jobs.plan import OnFailure
from serve_app.workflows.jobs.step import Edits, NotWanted, Settled, StepRunner

logger = logging.getLogger(__name__)


class ChainRunner:
    """Runs chains; each result is compared with the first image and, if asked, laid back over it.

    What a result is laid over is the chain's anchor: its first image, or since a step that shows
    something else, or from elsewhere, the result of that step.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        steps: StepRunner,
        inputs: Inputs,
        results: ResultStore,
        edits: Edits,
        config: QualityConfig,
        patience_s: float,
    ) -> None:
        self._catalogue = catalogue
        self._steps = steps
        self._inputs = inputs
        self._results = results
        self._edits = edits
        self._config = config
        self._patience_s = patience_s

    async def run(self, job: Job) -> Ending | None:
        """Each step edits the last accepted result, beside the references that came with it.

        ``None`` if the job is not wanted any more.
        """
        accepted: dict[int, str] = {}
        last, failure = None, None
        anchor = job.plan.images[0]
        for index, step in enumerate(job.plan.steps):
            first = last if step.source is None else accepted.get(step.source)
            images = job.plan.images
            if first is not None:
                images = (first, *images[1:])
            elif step.source is not None:
                images = ()  # nothing came of the step that this one builds on
            settle = partial(self._settle, job, index, images, anchor)
            run = partial(self._steps.run, job, index, images, accept=True, settle=settle)
            await once(step_name(index), run)
            record = await insist(partial(self._catalogue.step, job.id, index))
            if record is None or not record.state.final:
                return None
            if record.state is JobState.SUCCEEDED:
                last = accepted[index] = str(record.result)
                anchor = _anchor(record, anchor)
                continue
            failure = failure or failure_of(record)
            if job.plan.on_failure is not OnFailure.SKIP:
                break
        lost = last is None or job.plan.on_failure is OnFailure.STOP
        if failure is not None and lost:
            return Ending(JobState.FAILED, last, failure)
        return Ending(JobState.SUCCEEDED, last)

    async def _settle(
        self, job: Job, index: int, image_ids: Sequence[str], anchor_id: str, result: EditResult
    ) -> Settled:
        first_id = job.plan.images[0]
        first = await self._picture(first_id)
        made = (await self._inputs.decoded(result.png)).pixels
        replacement, kept = None, made
        step = job.plan.steps[index]
        reframed = mentions_viewpoint(step.parameters["prompt"])
        # What a mask protects has not moved, and is kept to the byte.
        held = step.mask is not None or "mask_box" in step.parameters
        wanted = job.plan.repair_drift and not held and not reframed
        if wanted and result.verdict != Verdict.FAIL:
            anchor = first if anchor_id == first_id else await self._picture(anchor_id)
            laid = await asyncio.to_thread(lay_over, anchor, made, self._config)
            reframed = laid.reframed
            if laid.picture is not None:
                replacement = await self._repaired(job, image_ids[0], result, laid.picture)
                kept = made if replacement is None else laid.picture
        measured = await asyncio.to_thread(decay, first, kept, self._config)
        drift: dict[str, Any] = measured.to_json() | {
            "repaired": replacement is not None,
            "reframed": reframed,
        }
        return Settled(replacement, drift)

    async def _picture(self, image_id: str) -> RGB:
        return (await insist(lambda: self._inputs.image(image_id))).pixels

    async def _repaired(
        self, job: Job, input_id: str, result: EditResult, pixels: RGB
    ) -> EditResult | None:
        """Store ``pixels`` as a result in place of ``result``, unless they don't pass the checks.

        A repair is a convenience: where it can't be judged in time, the result stays as it is.
        """
        case = _case(await self._picture(input_id), result, pixels)
        try:
            judged = await patiently(
                lambda: self._edits.validate(case, picture=False),
                self._patience_s,
                lambda: job.left_s,
                f"a repair in {job.id}",
            )
        except EditServiceError as error:
            logger.warning("a drift in %s is not repaired: %s", job.id, error.code)
            return None
        if judged.report.verdict is Verdict.FAIL:
            return None
        png = await asyncio.to_thread(encode, pixels)
        replacement = _replacement(result, png, judged.report)
        if not await insist(lambda: self._catalogue.claim(job.id, job.run, {replacement.id})):
            raise NotWanted
        await insist(lambda: self._results.put(replacement))
        return replacement


def _anchor(record: StepRecord, anchor: str) -> str:
    """What the next results are laid over, after an accepted step."""
    reframed = (record.drift or {}).get("reframed", False)
    return str(record.result) if reframed else anchor


def _case(before: RGB, result: EditResult, pixels: RGB) -> Case:
    """``pixels`` in place of ``result``, as an edit of ``before``."""
    plan = result.metadata["plan"]
    return Case(
        before,
        pixels,
        EditType(plan["edit_type"]),
        prompt=plan["prompt"],
        text=TextTargets(plan["expected_text"], plan["old_text"]),
    )


def _replacement(result: EditResult, png: bytes, report: Report) -> EditResult:
    """``result`` laid back: a result of its own, which tells what it was made of."""
    repaired_id = new_result_id()
    # The content key belongs to what the cache holds, which is not this.
    metadata = {name: it for name, it in result.metadata.items() if name != "content_key"}
    metadata |= {
        "id": repaired_id,
        "repaired_from": result.id,
        "repair": "drift_over_the_chain_warped_back",
        "verdict": str(report.verdict),
        "report": report.to_json(),
    }
    return EditResult(
        id=repaired_id,
        png=png,
        width=result.width,
        height=result.height,
        seed=result.seed,
        verdict=str(report.verdict),
        attempts=result.attempts,
        metadata=metadata,
    )
