"""The fields of a job, by its kind; the edits in it have ``EditParameters``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from serve_app.api.edit_parameters import (
    PRIORITY,
    USER,
    EditParameters,
    Priority,
    Prompt,
    User,
    single_line,
)
from serve_app.api.names import NAME_IS, NAME_PATTERN
from serve_app.edits.request import DEFAULT_PRIORITY
from serve_app.workflows.ab_tests.ab_test import Metric
from serve_app.workflows.jobs.job import JOB_ID, JobState
from serve_app.workflows.jobs.plan import JobKind, OnFailure

MAX_LABEL = 100
MAX_DESCRIPTION = 300
MAX_URL = 2000
LONGEST_DEADLINE_S = 30 * 24 * 3600
_LABEL = f"1 to {MAX_LABEL} characters of text to find the job by"
_STATES = tuple(state for state in JobState if state is not JobState.SKIPPED)


def _label(text: str) -> str:
    return single_line(text, MAX_LABEL)


def _description(text: str) -> str:
    return single_line(text, MAX_DESCRIPTION)


def _cursor(text: str) -> str:
    if JOB_ID.fullmatch(text) is None:
        raise ValueError("must be the `next_cursor` of another page")
    return text


def _state(state: JobState) -> JobState:
    if state not in _STATES:
        raise ValueError(f"must be one of {', '.join(_STATES)}")
    return state


_Label = Annotated[str, AfterValidator(_label)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
_OnFailure = Annotated[OnFailure, Field(strict=False)]


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class JobFields(_Fields):
    """What every job may say of itself."""

    label: _Label | None = Field(None, description=_LABEL)
    user: User | None = Field(None, description=USER)
    priority: Priority = Field(DEFAULT_PRIORITY, description=PRIORITY)
    deadline_s: float | None = Field(
        None,
        gt=0,
        le=LONGEST_DEADLINE_S,
        description=f"a number of seconds above 0, at most {LONGEST_DEADLINE_S} (30 days), from "
        "the acceptance of the job",
    )
    partial_images: int = Field(0, ge=0, le=3, description="a whole number from 0 to 3")
    webhook: str | None = Field(
        None,
        max_length=MAX_URL,
        description="an http or https URL on a host that this service is configured to call",
    )


class IndependentFields(JobFields):
    """A job whose edits don't depend on each other."""

    concurrency: int | None = Field(
        None,
        ge=1,
        description="a whole number from 1 up: how many edits run at once, 4 by default",
    )


class EditJobFields(IndependentFields):
    """A job of one edit, or of many."""


class ChainFields(JobFields):
    """A job whose steps each edit what the one before made."""

    on_failure: _OnFailure = Field(
        OnFailure.STOP,
        description="one of stop (the job fails), skip (the next step edits the last accepted "
        "result), keep_best (the job ends with the last accepted result)",
    )
    repair_drift: bool | None = Field(
        None,
        description="true or false: whether each result is laid back over the first image, where "
        "edits have shifted or zoomed it by a little; by default as the service is set to",
    )


class VariantsFields(IndependentFields):
    """A job of one picture in several variants, which a test is to compare."""

    success_metric: Annotated[Metric, Field(strict=False)] = Field(
        Metric.CONVERSIONS,
        description=f"one of {', '.join(Metric)}: what the variants are compared by",
    )


class DescribedFields(EditParameters):
    """An edit with a word to its readers."""

    description: Annotated[str, AfterValidator(_description)] | None = Field(
        None, description=f"1 to {MAX_DESCRIPTION} characters of text for its readers"
    )

    def recorded(self) -> dict[str, Any]:
        """The parameters of the edit itself, without what is said about it."""
        given = super().recorded()
        return {name: given[name] for name in EditParameters.model_fields if name in given}


class VariantFields(DescribedFields):
    """A variant."""

    hypothesis: Annotated[str, AfterValidator(_description)] | None = Field(
        None, description=f"1 to {MAX_DESCRIPTION} characters of text: what it should do, and why"
    )


class ItemFields(DescribedFields):
    """An item of a job of many edits."""

    name: Name | None = Field(None, description=f"{NAME_IS}, unlike the name of another one")


class StepFields(ItemFields):
    """A step of a chain."""

    input: str | None = Field(
        None,
        description="the `name` of an earlier step, whose result it edits; by default the last "
        "accepted one",
    )


class MatrixPrompts(_Fields):
    """The prompts of a matrix, each for every image."""

    prompts: list[Prompt] = Field(min_length=1, description="a list of instructions")


class ForkFields(_Fields):
    """From where on a copy of a job runs."""

    from_step: int = Field(ge=0, description="the index of the first step to run again, from 0")


class ListFields(BaseModel):
    """The filter of the list of jobs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Annotated[JobState, AfterValidator(_state)] | None = Field(
        None, description=f"one of {', '.join(_STATES)}"
    )
    kind: JobKind | None = Field(None, description=f"one of {', '.join(JobKind)}")
    label: _Label | None = Field(None, description=_LABEL)
    user: User | None = Field(None, description=USER)
    created_after: AwareDatetime | None = Field(
        None, description="a time in ISO 8601 with its zone: jobs from then on"
    )
    created_before: AwareDatetime | None = Field(
        None, description="a time in ISO 8601 with its zone: jobs before it"
    )
    cursor: Annotated[str, AfterValidator(_cursor)] | None = Field(
        None, description="the `next_cursor` of another page"
    )
    limit: int = Field(20, ge=1, le=100, description="a whole number from 1 to 100")
