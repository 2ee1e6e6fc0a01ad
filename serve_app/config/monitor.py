"""What the service reports of itself."""

from typing import Self

from pydantic import Field, PositiveFloat, model_validator

from serve_app.config.section import Section


class MonitorConfig(Section):
    """What is counted and sampled for `GET /v1/monitor`."""

    interval_s: PositiveFloat = Field(
        5.0,
        le=10.0,  # Ray forgets gauges that are not set anew within 20 seconds
        description="How often replicas report, gauges are set and the machine is sampled, "
        "seconds.",
    )
    answer_s: PositiveFloat = Field(
        3.0, description="How long the monitor may take to answer, seconds."
    )
    silent_s: PositiveFloat = Field(
        30.0,
        description="The load of a replica that is silent for so long counts no more, seconds.",
    )

    @model_validator(mode="after")
    def _silence_is_longer_than_the_interval(self) -> Self:
        if self.silent_s <= self.interval_s + self.answer_s:
            raise ValueError(
                "`silent_s` must be above `interval_s` and `answer_s` together, or replicas would "
                "be forgotten between two reports"
            )
        return self
