"""How bulk runs use a cluster."""

from pydantic import Field, PositiveFloat, PositiveInt

from serve_app.config.section import Section


class Actors(Section):
    """A fixed number of actors of one kind."""

    number: PositiveInt = 1
    num_cpus: float = Field(1.0, ge=0.0, description="CPUs of each.")
    num_gpus: float = Field(0.0, ge=0.0, description="GPUs of each.")


class BulkConfig(Section):
    """How bulk runs use a cluster; none of it changes a result."""

    editors: Actors = Actors(num_gpus=1.0)
    loaders: Actors = Actors(num_cpus=0.5)
    validators: Actors = Actors(num_cpus=0.5)
    in_flight: PositiveInt | None = Field(
        None,
        description="Rows in an editor at once, of which `engine.max_batch_size` are edited and "
        "the others wait to fill up its batch; by default four times that many.",
    )
    object_store_bytes: PositiveInt | None = Field(
        None, description="Ray's shared memory where a run starts Ray itself; Ray's own default."
    )
    patience_s: PositiveFloat = Field(
        300.0, description="How long a row waits while storage or a validator is away, seconds."
    )
    lives: PositiveInt = Field(
        2, description="Editors that may die over a row before it is given up."
    )
    hold_s: PositiveFloat = Field(
        60.0,
        description="A run in object storage that is silent for so long may be taken over, "
        "seconds; in a folder that can be told at once.",
    )
    seconds_per_forward: PositiveFloat | None = Field(
        None,
        description="Seconds of one forward for one row, as full batches take; for estimates "
        "before any row has run.",
    )
    price_per_hour: PositiveFloat | None = Field(
        None, description="Price of one editor for an hour, in any currency; for estimates."
    )
