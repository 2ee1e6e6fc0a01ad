"""The fields of ``POST /v1/ab-tests/analyze``; the variants' counts have ``CountFields``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from serve_app.workflows.ab_tests.ab_test import (
    DEFAULT_MINIMUM_EFFECT,
    DEFAULT_POWER,
    DEFAULT_SIGNIFICANCE,
    Metric,
)

MAX_VARIANTS = 50
MAX_COUNT = 10**12
MAX_WEIGHT = 10**6

_Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
_COUNT = f"a whole number from 0 to {MAX_COUNT}"
_METRICS = ", ".join(Metric)


class CountFields(BaseModel):
    """What was counted of one variant; what the analysis doesn't need may be left out."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    impressions: _Count | None = Field(None, description=f"{_COUNT}: how often it was shown")
    clicks: _Count | None = Field(None, description=_COUNT)
    engagements: _Count | None = Field(None, description=_COUNT)
    conversions: _Count | None = Field(None, description=_COUNT)
    users: _Count | None = Field(
        None,
        description=f"{_COUNT}: how many people were assigned to it. Given for all variants, they "
        "are what the metric is a share of; count each of them once in the metric then",
    )


class AbTestFields(BaseModel):
    """Everything a request says of a test, except its variants and their shares."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    control: str = Field(description="the name of one of the variants")
    metric: Annotated[Metric, Field(strict=False)] = Field(
        Metric.CONVERSIONS,
        description=f"one of {_METRICS}; with a `job`, what its `success_metric` is",
    )
    minimum_effect: float = Field(
        DEFAULT_MINIMUM_EFFECT,
        ge=0.001,
        le=10,
        description="a number from 0.001 to 10: the smallest lift worth finding, relative to the "
        "control's rate (0.2 is from 5 % to 6 %)",
    )
    baseline: float | None = Field(
        None,
        ge=1e-6,
        le=1 - 1e-6,
        description="a number from 0.000001 to 0.999999: the rate that was planned for the "
        "control; by default the one observed, which also counts where its interval leaves this "
        "one out",
    )
    power: float = Field(
        DEFAULT_POWER,
        ge=0.5,
        le=0.999,
        description="a number from 0.5 to 0.999: the chance to find the minimum effect",
    )
    significance: float = Field(
        DEFAULT_SIGNIFICANCE,
        ge=1e-6,
        le=0.2,
        description="a number from 0.000001 to 0.2: the chance of a false finding",
    )
    job: str | None = Field(
        None,
        description="the id of the `variants` job to keep the analysis with. Each one that has "
        "enough data is a look at the test; p values hold for the first, so later ones have a "
        "caveat",
    )
    picture: bool = Field(False, description="true or false")
