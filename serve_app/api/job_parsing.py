"""From the body of ``POST /v1/jobs`` to a plan; nothing is stored before all of it is valid."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from serve_app.api.brand_fields import BrandSetFields
from serve_app.api.brand_parsing import BRAND, TARGETS, VARIATIONS, BrandReader
from serve_app.api.context import Bounds, Context
from serve_app.api.job_fields import (
    ChainFields,
    EditJobFields,
    ForkFields,
    IndependentFields,
    JobFields,
    VariantsFields,
)
from serve_app.api.job_references import References, substituted
from serve_app.api.job_steps import IMAGE, MATRIX, StepReader, Values
from serve_app.api.model_fields import parse_model, refuse_unknown
from serve_app.errors import InvalidRequest, MissingField
from serve_app.workflows.brand_sets.captions import check_captions
from serve_app.workflows.jobs.again import Fork
from serve_app.workflows.jobs.job import Job
from serve_app.workflows.jobs.plan import JobKind, JobPlan, StepPlan
from serve_app.workflows.jobs.webhook_url import may_be_called

VARIANTS = "variants"

_AT_ONCE = 4

Job_ = TypeVar("Job_", bound=JobFields)


@dataclass(frozen=True, slots=True)
class ParsedJob:
    """A valid job whose images are not stored yet."""

    plan: JobPlan
    references: References

    async def stored(self, context: Context) -> JobPlan:
        """Store the images; the plan with their ids.

        Raises an ``EditServiceError`` for an image or a caption that can't be used.
        """
        if self.plan.brand_set is not None:
            await asyncio.to_thread(check_captions, self.plan.brand_set, context.brand_config)
        ids = await self.references.stored(context)
        return JobPlan.from_json(substituted(self.plan.to_json(), ids))


@dataclass(frozen=True, slots=True)
class ParsedFork:
    """A valid fork whose images are not stored yet."""

    fork: Fork
    references: References

    async def stored(self, context: Context) -> Fork:
        """Store the images; the fork with their ids."""
        ids = await self.references.stored(context)
        steps = self.fork.steps
        if steps is None:
            return self.fork
        stored = [StepPlan.from_json(substituted(asdict(step), ids)) for step in steps]
        return Fork(self.fork.from_step, tuple(stored))


def parse_job(values: Values, parts: Mapping[str, bytes], context: Bounds) -> ParsedJob:
    """Read a specification; ``parts`` are the files that came with it.

    Raises:
        InvalidRequest: About the first field that can't be used, by its path.
    """
    references = References(parts, context.max_images)
    parser = _Parser(context, references)
    match values.get("kind"):
        case None:
            raise MissingField("`kind` is required.", "kind")
        case JobKind.EDIT:
            plan = parser.edit_job(values)
        case JobKind.CHAIN:
            plan = parser.chain(values)
        case JobKind.VARIANTS:
            plan = parser.variants(values)
        case JobKind.BRAND_SET:
            plan = parser.brand_set(values)
        case _:
            raise InvalidRequest(f"`kind` must be one of {', '.join(JobKind)}.", "kind")
    references.refuse_unused()
    return ParsedJob(plan, references)


def parse_fork(values: Values, job: Job, context: Context) -> ParsedFork:
    """Read the body of ``/fork``: from which step on, and perhaps other steps from there."""
    references = References({}, context.max_images)
    parser = _Parser(context, references)
    values = dict(values)
    steps = values.pop("steps", None)
    first = parse_model(ForkFields, values, context.limits, typed=True).from_step
    if steps is None:
        return ParsedFork(Fork(first), references)
    earlier = job.plan.steps[:first]
    match job.kind:
        case JobKind.CHAIN:
            later = parser.steps.steps(steps, "steps", earlier)
        case JobKind.EDIT:
            later = parser.steps.items(steps, "steps", earlier=earlier)
        case _:
            raise InvalidRequest(
                f"A job of the kind {job.kind} can't get other steps; submit a new one.", "steps"
            )
    return ParsedFork(Fork(first, later), references)


class _Parser:
    """Reads one specification, collecting its images in ``references``."""

    def __init__(self, context: Bounds, references: References) -> None:
        self._limits = context.limits
        self._jobs = context.jobs_config
        most = context.jobs_config.max_steps
        self.steps = StepReader(context.limits, most, references)
        self.brands = BrandReader(context.limits, context.brand_config, most, references)

    def edit_job(self, values: Values) -> JobPlan:
        """One edit, a list of ``items``, or a ``matrix`` of images and prompts."""
        own, rest = _parted(values, EditJobFields)
        fields = self._model(EditJobFields, own)
        given = [name for name in ("items", MATRIX) if name in rest]
        if len(given) > 1:
            raise InvalidRequest("Give `items` or `matrix`.", MATRIX)
        shared = {name: value for name, value in rest.items() if name not in ("items", MATRIX)}
        if not given:
            steps = self.steps.items([shared], "")
        elif given == ["items"]:
            steps = self.steps.items(rest["items"], "items", shared)
        else:
            steps = self.steps.items(self.steps.matrix(rest[MATRIX]), "", shared)
        return JobPlan(JobKind.EDIT, steps, at_once=self._at_once(fields), **self._common(fields))

    def chain(self, values: Values) -> JobPlan:
        """Steps that build on each other."""
        own, rest = _parted(values, ChainFields)
        refuse_unknown(rest, {IMAGE, "steps"})
        fields = self._model(ChainFields, own)
        repair = fields.repair_drift
        images = self.steps.images(rest)
        if "steps" not in rest:
            raise MissingField("`steps` is required.", "steps")
        return JobPlan(
            JobKind.CHAIN,
            self.steps.steps(rest["steps"], "steps"),
            images=images,
            on_failure=fields.on_failure,
            repair_drift=self._jobs.repair_drift if repair is None else repair,
            **self._common(fields),
        )

    def variants(self, values: Values) -> JobPlan:
        """Several edits of one picture, which a test is to compare."""
        own, rest = _parted(values, VariantsFields)
        refuse_unknown(rest, {IMAGE, VARIANTS})
        fields = self._model(VariantsFields, own)
        images = self.steps.images(rest)
        if VARIANTS not in rest:
            raise MissingField("`variants` is required.", VARIANTS)
        return JobPlan(
            JobKind.VARIANTS,
            self.steps.variants(rest[VARIANTS], VARIANTS),
            images=images,
            at_once=self._at_once(fields),
            success_metric=str(fields.success_metric),
            **self._common(fields),
        )

    def brand_set(self, values: Values) -> JobPlan:
        """One picture in several variations, each in every format."""
        own, rest = _parted(values, BrandSetFields)
        refuse_unknown(rest, {IMAGE, BRAND, VARIATIONS, TARGETS})
        fields = self._model(BrandSetFields, own)
        images = self.steps.images(rest)
        brand_set = self.brands.brand_set(rest, fields.fit)
        return JobPlan(
            JobKind.BRAND_SET,
            self.brands.steps(brand_set),
            images=images,
            at_once=self._at_once(fields),
            brand_set=brand_set,
            **self._common(fields),
        )

    def _at_once(self, fields: IndependentFields) -> int:
        most = self._jobs.max_at_once
        if fields.concurrency is not None and fields.concurrency > most:
            raise InvalidRequest(
                f"`concurrency` must be a whole number from 1 to {most}.", "concurrency"
            )
        return fields.concurrency or min(_AT_ONCE, most)

    def _model(self, model: type[Job_], values: Values) -> Job_:
        fields = parse_model(model, values, self._limits, typed=True)
        if fields.webhook is not None:
            self._check_webhook(fields.webhook)
        return fields

    def _check_webhook(self, url: str) -> None:
        if not may_be_called(url, self._jobs.webhooks.hosts):
            raise InvalidRequest(
                "`webhook` must be an http or https URL on a host that this service is configured "
                "to call (`jobs.webhooks.hosts`).",
                "webhook",
            )

    @staticmethod
    def _common(fields: JobFields) -> dict[str, Any]:
        return {name: getattr(fields, name) for name in JobFields.model_fields}


def _parted(values: Values, model: type[JobFields]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of the job itself, and the others; without ``kind``."""
    own = {name: value for name, value in values.items() if name in model.model_fields}
    rest = {name: one for name, one in values.items() if name not in own and name != "kind"}
    return own, rest
