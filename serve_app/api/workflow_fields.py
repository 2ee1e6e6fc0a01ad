"""The fields of a saved workflow, of its parameters, and of a run of it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from serve_app.api.edit_parameters import single_line
from serve_app.workflows.saved.parameter import MAX_TEXT, ParameterType

MAX_DESCRIPTION = 1000
MAX_PARAMETERS = 100
MAX_CHOICES = 100
MAX_VERSION = 2**31 - 1


def _description(text: str) -> str:
    return single_line(text, MAX_DESCRIPTION)


_Description = Annotated[str, AfterValidator(_description)]
_DESCRIPTION = f"1 to {MAX_DESCRIPTION} characters of text for its readers"


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class ParameterFields(_Fields):
    """What a workflow says of one of its parameters."""

    type: Annotated[ParameterType, Field(strict=False)] = Field(
        description=f"one of {', '.join(ParameterType)}"
    )
    description: _Description | None = Field(None, description=_DESCRIPTION)
    default: Any = Field(
        None,
        description="a value of the parameter's type, or text that refers to other parameters; "
        "without a default every run must give the parameter",
    )
    choices: Annotated[list[Any], Field(min_length=1, max_length=MAX_CHOICES)] | None = Field(
        None, description=f"a list of 1 to {MAX_CHOICES} values of the parameter's type"
    )
    max_length: int | None = Field(
        None, ge=1, le=MAX_TEXT, description=f"a whole number from 1 to {MAX_TEXT}"
    )
    minimum: int | float | None = Field(None, description="a number")
    maximum: int | float | None = Field(None, description="a number")


class WorkflowFields(_Fields):
    """What is saved under a name."""

    description: _Description | None = Field(None, description=_DESCRIPTION)
    parameters: Annotated[dict[str, Any], Field(max_length=MAX_PARAMETERS)] = Field(
        default_factory=dict,
        description=f"an object of at most {MAX_PARAMETERS} parameters by their names, each with "
        "its `type`",
    )
    job: dict[str, Any] = Field(
        description="an object: a job as /v1/jobs takes it, whose strings may refer to parameters "
        "by their names in dollar and braces"
    )


class RunFields(_Fields):
    """What a run says of the workflow; the fields that all jobs have may stand beside."""

    parameters: dict[str, Any] = Field(
        default_factory=dict, description="an object of values by the names of the parameters"
    )
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | None = Field(
        None, description="a whole number from 1 up; the latest version by default"
    )


class VersionFields(BaseModel):
    """Which version is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int | None = Field(
        None,
        ge=1,
        le=MAX_VERSION,
        description="a whole number from 1 up; the latest version by default",
    )
