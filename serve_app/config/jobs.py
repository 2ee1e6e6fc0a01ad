"""Work that outlives a request, and how much of it there may be."""

from pydantic import Field, PositiveFloat, PositiveInt

from serve_app.config.section import Section


class WebhooksConfig(Section):
    """Telling other services that a job has ended."""

    hosts: tuple[str, ...] = Field(
        (),
        description="Hosts (`name` or `name:port`) that jobs may name; none by default, so that "
        "nobody can make this service call what only it can reach.",
    )
    secret_env: str = Field(
        "QWEN_EDIT_WEBHOOK_SECRET",
        description="Environment variable with the key that webhooks are signed with.",
    )
    pauses_s: tuple[PositiveFloat, ...] = Field(
        (5.0, 30.0, 120.0, 600.0, 3600.0, 21600.0),
        description="Waits before each further attempt, seconds.",
    )
    answer_s: PositiveFloat = Field(10.0, description="How long an answer may take, seconds.")


class WorkflowsConfig(Section):
    """Saved workflows, which are kept with the jobs."""

    max_stored: PositiveInt = Field(1000, description="Versions of all workflows together.")
    max_bytes: PositiveInt = Field(2**18, description="One workflow as JSON, bytes.")


class JobsConfig(Section):
    """Durable jobs: where they are kept, and how many run at once."""

    database: str | None = Field(
        None,
        description="postgresql://USER:PASSWORD@HOST/NAME; by default the file `jobs.sqlite` in "
        "the local folder of `storage`.",
    )
    running: PositiveInt = Field(16, description="Jobs running at once; the rest is queued.")
    running_per_user: PositiveInt = Field(8, description="Of these, of one `user`.")
    queued: PositiveInt = Field(10_000, description="Jobs queued at once; more get 429.")
    edits: PositiveInt = Field(
        8, description="Edits of all jobs at once: what they leave of the editors is for others."
    )
    max_steps: PositiveInt = Field(1000, description="Most steps, or items, of one job.")
    max_at_once: PositiveInt = Field(16, description="Largest `concurrency` of a job of items.")
    patience_s: PositiveFloat = Field(
        3600.0, description="How long a step waits while no editor takes it, seconds."
    )
    poll_s: PositiveFloat = Field(0.2, description="How often the queue is looked at, seconds.")
    watch_s: PositiveFloat = Field(
        30.0, description="How often it is checked that every unfinished job has a run, seconds."
    )
    keep_s: PositiveFloat = Field(
        30 * 24 * 3600.0,
        description="Ended jobs are erased after so long with their inputs and results, seconds.",
    )
    watchers: PositiveInt = Field(
        100, description="Streams of jobs' events open per ingress; more get 429."
    )
    webhooks: WebhooksConfig = WebhooksConfig()
    workflows: WorkflowsConfig = WorkflowsConfig()
    repair_drift: bool = Field(
        False,
        description="Lay each result of a chain back over its first image, unless the job says "
        "otherwise.",
    )
