"""From the bodies of ``/v1/workflows`` to a workflow, or to a job made from one.

Nothing is stored before all of it is valid. The path of a field in the job is that of the
workflow: `job.steps.0.prompt`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from serve_app.api.context import Bounds, Context
from serve_app.api.job_fields import JobFields
from serve_app.api.job_parsing import ParsedJob, parse_job
from serve_app.api.job_references import References
from serve_app.api.model_fields import below, parse_model, refuse_unknown
from serve_app.api.names import NAME, NAME_IS
from serve_app.api.workflow_fields import ParameterFields, RunFields, WorkflowFields
from serve_app.config import LimitsConfig
from serve_app.errors import EditServiceError, InvalidRequest, PayloadTooLarge, UnknownField
from serve_app.workflows.jobs.plan import JobPlan
from serve_app.workflows.saved.document import JOB, PARAMETERS, WorkflowDocument
from serve_app.workflows.saved.parameter import Parameter, ParameterType

_PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def check_name(name: str) -> None:
    """Raise ``InvalidRequest`` unless a workflow may be called ``name``."""
    if NAME.fullmatch(name) is None:
        raise InvalidRequest(f"`name` must be {NAME_IS}.", "name")


def parse_document(values: Mapping[str, Any], limits: LimitsConfig) -> WorkflowDocument:
    """Read a workflow and check its parameters; whether its job can be run is left open.

    Raises:
        InvalidRequest: About the first field that can't be used, by its path.
    """
    fields = parse_model(WorkflowFields, values, limits, typed=True)
    parameters = {name: _parameter(name, it, limits) for name, it in fields.parameters.items()}
    document = WorkflowDocument(fields.job, parameters, fields.description)
    document.check()
    return document


def parse_workflow(values: Mapping[str, Any], context: Bounds) -> WorkflowDocument:
    """Read a workflow and check all of it: its job is one, with default or example values.

    Raises:
        InvalidRequest: About the first field that can't be used, by its path.
        PayloadTooLarge: If the workflow is longer than is stored.
    """
    document = parse_document(values, context.limits)
    check_length(document, context)
    check_job(document.example(), context)
    return document


def check_length(document: WorkflowDocument, context: Bounds) -> None:
    """Raise ``PayloadTooLarge`` if the workflow is longer than is stored."""
    most = context.jobs_config.workflows.max_bytes
    if len(json.dumps(document.to_json())) > most:
        raise PayloadTooLarge(
            f"A workflow has at most {most} bytes as JSON. Name its images by their ids, or make "
            "them parameters."
        )


def check_job(job: Mapping[str, Any], context: Bounds) -> None:
    """Raise ``InvalidRequest``, with its path in the workflow, unless ``job`` can be run."""
    with _below_job():
        parse_job(job, {}, context)


@dataclass(frozen=True, slots=True)
class ParsedRun:
    """What a run asks for: ``version`` of the workflow, or the latest, and with which values.

    ``own`` are fields that all jobs have, said for this run; ``parts`` are the files with it.
    """

    values: Mapping[str, Any]
    version: int | None
    own: Mapping[str, Any]
    parts: Mapping[str, bytes]

    def job(self, document: WorkflowDocument, context: Context) -> ParsedRunJob:
        """The job that the workflow makes of it; raises ``InvalidRequest``."""
        filled = document.filled(self.values)
        images = self._images(document, context)
        with _below_job(self.own, self.parts):
            parsed = parse_job({**filled, **self.own}, self.parts, context)
        for path, value in images.items():
            parsed.references.complain_at(path, value)
        return ParsedRunJob(parsed, frozenset(images))

    def _images(self, document: WorkflowDocument, context: Bounds) -> dict[str, str]:
        """The images that are given, by the paths of their parameters.

        What names no image is wrong there, and not where the job has it.
        """
        images = {
            f"{PARAMETERS}.{name}": value
            for name, value in self.values.items()
            if value is not None and document.parameters[name].type is ParameterType.IMAGE
        }
        references = References(self.parts, context.max_images)
        for path, value in images.items():
            references.image(value, path)
        return images


@dataclass(frozen=True, slots=True)
class ParsedRunJob:
    """A valid job of a workflow whose images are not stored yet.

    ``given`` are the paths of the parameters that are images: an error about one stays there.
    """

    parsed: ParsedJob
    given: frozenset[str] = frozenset()

    async def stored(self, context: Context) -> JobPlan:
        """Store the images; the plan with their ids."""
        with _below_job(self.given):
            return await self.parsed.stored(context)


def parse_run(values: Mapping[str, Any], parts: Mapping[str, bytes], context: Context) -> ParsedRun:
    """Read the body of ``/run``; ``parts`` are the files that came with it.

    Raises:
        InvalidRequest: About the first field that can't be used.
    """
    known = {*RunFields.model_fields, *JobFields.model_fields}
    refuse_unknown(values, known)
    asked = {name: value for name, value in values.items() if name in RunFields.model_fields}
    fields = parse_model(RunFields, asked, context.limits, typed=True)
    own = {name: it for name, it in values.items() if name not in asked and it is not None}
    return ParsedRun(fields.parameters, fields.version, own, parts)


def _parameter(name: str, values: Any, limits: LimitsConfig) -> Parameter:
    path = f"{PARAMETERS}.{name[:64]}"
    if _PARAMETER_NAME.fullmatch(name) is None:
        raise InvalidRequest(
            "The name of a parameter must be 1 to 64 letters, digits and underscores, the first "
            "not a digit.",
            path,
        )
    if not isinstance(values, dict):
        raise InvalidRequest(f"`{name}` must be an object with a `type`.", path)
    with below(f"{path}."):
        fields = parse_model(ParameterFields, values, limits, typed=True)
    given = {field: getattr(fields, field) for field in ParameterFields.model_fields}
    return Parameter(**{**given, "choices": tuple(fields.choices or ())})


@contextmanager
def _below_job(own: Container[str] = (), parts: Container[str] = ()) -> Iterator[None]:
    """Put `job.` before the field that is complained about.

    Not so where it is one of the run's ``own`` fields, by its path or its first name, or a file of
    ``parts`` that nothing names.
    """
    try:
        yield
    except EditServiceError as error:
        unused = isinstance(error, UnknownField) and error.param in parts
        if error.param is None or unused:
            raise
        if error.param in own or error.param.partition(".")[0] in own:
            raise
        path = f"{JOB}.{error.param}"
        raise type(error)(error.message, path, error.retry_after_s) from None
