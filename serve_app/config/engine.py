"""The denoising loop of one editor."""

from pydantic import Field, PositiveFloat, PositiveInt

from serve_app.config.section import CanvasSize, Section


class SchedulingConfig(Section):
    """Who runs next: the least remaining work, changed by these (`engine/policy.py`)."""

    aging: PositiveFloat = Field(
        0.05, description="Seconds of work forgiven for each second of waiting."
    )
    priority_s: PositiveFloat = Field(
        5.0, description="Seconds of work that one level of priority is worth."
    )
    fairness: float = Field(
        4.0,
        ge=0.0,
        description="Seconds of work added for each second that a tenant's other requests "
        "had the device beyond its share.",
    )


class AccelerationConfig(Section):
    """Speed options; each is exact or has its error measured on the miniature."""

    compile: bool = Field(
        False, description="torch.compile of the transformer's repeated blocks, at the start."
    )
    attention: str | None = Field(
        None, description="Attention backend of diffusers, such as `native` or `flash`."
    )
    stack_guidance: bool = Field(
        True,
        description="Run both rows of a guided edit in one forward: faster where the canvas is "
        "small. Off, in one after the other, which takes less memory.",
    )
    warm_up_sizes: tuple[CanvasSize, ...] = Field(
        (), description="Canvases (WIDTHxHEIGHT) to run before ready, alone and in full batches."
    )


class EngineConfig(Section):
    """The denoising loop of one editor."""

    max_batch_size: PositiveInt = Field(8, description="Requests in one step.")
    max_pending: PositiveInt = Field(
        64, description="Requests waiting or running in one editor before it answers 429."
    )
    threads: int = Field(0, ge=0, description="torch CPU threads; 0 leaves torch's choice.")
    memory_bytes: PositiveInt | None = Field(
        None,
        description="What edits may take beside the weights, bytes. By default what is free on "
        "a GPU after loading; without limit elsewhere. Set it where weights are offloaded: they "
        "are away when that is measured.",
    )
    reuse_bytes: int = Field(
        256 * 2**20, ge=0, description="Encoded prompts and images kept on the device, bytes."
    )
    scheduling: SchedulingConfig = SchedulingConfig()
    acceleration: AccelerationConfig = AccelerationConfig()
    max_failures: PositiveInt = Field(
        5, description="Unhealthy after so many failed edits without one that succeeds."
    )
    stall_after_s: PositiveFloat = Field(
        600.0, description="Unhealthy if work is waiting and no step ended for so long, seconds."
    )

    @property
    def max_pending_of_one(self) -> int:
        """How many a single tenant may have there: an eighth is kept for the others."""
        return self.max_pending - self.max_pending // 8
