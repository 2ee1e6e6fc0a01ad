"""Size and limits of the graph's deployments."""

from typing import Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from serve_app.config.section import Section


class Replicas(Section):
    """Size of one deployment. Autoscaling where `max` is above `min`."""

    num_cpus: float = Field(0.1, ge=0.0)
    num_gpus: float = Field(0.0, ge=0.0)
    min: PositiveInt = 1
    max: PositiveInt = 1
    max_ongoing_requests: PositiveInt = 100
    max_queued_requests: PositiveInt = Field(
        1000, description="Requests each caller keeps waiting for replicas; more get 429."
    )
    target_ongoing_requests: PositiveFloat = Field(
        8.0, description="Load per replica the autoscaler aims for."
    )
    upscale_delay_s: NonNegativeFloat = Field(
        30.0, description="How long the load must ask for more replicas, seconds."
    )
    downscale_delay_s: NonNegativeFloat = Field(
        600.0, description="How long the load must ask for fewer replicas, seconds."
    )
    surge_percent: int = Field(
        100,
        ge=0,
        le=100,
        description="Replicas that an update starts before it stops old ones, as a share of all, "
        "rounded up. They need room beside the old ones; with 0 an old one goes first.",
    )
    most_per_node: int | None = Field(
        None,
        ge=1,
        le=100,
        description="Replicas on one node at most, so that one that goes takes only so many.",
    )
    resources: dict[str, PositiveFloat] = Field(
        {},
        description="Ray's custom resources that each takes a share of: what only some nodes have "
        "binds the deployment to them.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"`max` is {self.max}, below `min`, which is {self.min}")
        return self


class EditorReplicas(Replicas):
    """Size of the editors, which may be scaled by the work that waits for them.

    An update stops an old one first, by default: where every device has its editor, new ones would
    wait for room without end.
    """

    surge_percent: int = Field(0, ge=0, le=100, description="As for others; needs free devices.")

    target_work_s: PositiveFloat | None = Field(
        None,
        description="Work per replica that the autoscaler aims for, in seconds of the device by "
        "its measured steps; in place of `target_ongoing_requests`.",
    )


class DeploymentsConfig(Section):
    """Size and limits of every deployment of the graph."""

    ingress: Replicas = Replicas(max_ongoing_requests=200)
    router: Replicas = Replicas(max_ongoing_requests=1000)
    cache: Replicas = Replicas(max_ongoing_requests=10_000)
    # More than `engine.max_pending`: the engine answers 429, a full replica would only queue.
    editor: EditorReplicas = EditorReplicas(num_cpus=1.0, num_gpus=1.0, max_ongoing_requests=256)
    validator: Replicas = Replicas(num_cpus=0.5, max_ongoing_requests=8)
    # Every watcher of a job's events is a request.
    jobs: Replicas = Replicas(max_ongoing_requests=1000)
    monitor: Replicas = Replicas()
    graceful_shutdown_s: PositiveFloat = Field(
        120.0, description="Time a replica gets to finish its edits when it is replaced, seconds."
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if self.cache.max > self.cache.min:
            raise ValueError(
                "`cache` must have a fixed size, `max` as `min`: each replica has its own keys, "
                "where identical requests meet"
            )
        if self.jobs.max > 1:
            raise ValueError("`jobs` must be one replica: it alone takes up interrupted jobs")
        if self.monitor.max > 1:
            raise ValueError("`monitor` must be one replica: all others report to it")
        return self
