"""Every setting of the service, with its unit; nothing else reads configuration.

The models are frozen and refuse unknown keys, so a typing error in a YAML file stops the
start with the name of the field instead of being ignored.
"""

from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)
from pydantic.fields import FieldInfo

from serve_app.errors import ConfigurationError

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
CanvasSize = Annotated[str, Field(pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$")]


class Section(BaseModel):
    """Base of all sections: frozen, and no unknown keys.

    A section given in part keeps the rest of its own default: ``editor: {num_gpus: 0}``
    leaves the other settings as they are for editors, not for deployments in general.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: _completed(cls.model_fields.get(name), it) for name, it in given.items()}


def _completed(field: FieldInfo | None, given: Any) -> Any:
    if field is None or not isinstance(field.default, BaseModel) or not isinstance(given, dict):
        return given
    return {**field.default.model_dump(), **given}


class AdaptersConfig(Section):
    """LoRA adapters that requests may name."""

    folder: Path | None = Field(
        None, description="Folder of `NAME.safetensors` files, read at the start; none without it."
    )
    memory_bytes: PositiveInt = Field(
        2 * 2**30, description="Adapters kept on the device, bytes; the least recent leave first."
    )


class MemoryConfig(Section):
    """How the weights are held; every mode trades speed for memory, see configs/README.md."""

    offload: Literal["none", "model", "group"] = Field(
        "none",
        description="model: the text encoder and the transformer take turns on the device; "
        "group: their blocks come when they are needed, prefetched on a stream.",
    )
    quantization: Literal["none", "int8", "float8"] = Field(
        "none", description="Weight-only quantization of the transformer by torchao."
    )
    gguf: Path | None = Field(
        None, description="Single GGUF file to take the transformer from instead."
    )
    float8_storage: bool = Field(
        False, description="Keep the transformer's weights as float8, cast layer by layer."
    )
    vae_tiling: bool = Field(False, description="Encode and decode in tiles.")
    vae_slicing: bool = Field(False, description="Encode and decode one image at a time.")

    @model_validator(mode="after")
    def _one_number_format(self) -> Self:
        given = [
            name
            for name, there in (
                ("quantization", self.quantization != "none"),
                ("gguf", self.gguf is not None),
                ("float8_storage", self.float8_storage),
            )
            if there
        ]
        if len(given) > 1:
            raise ValueError(
                "the transformer's weights are held in one format: choose one of "
                + " and ".join(f"`{name}`" for name in given)
            )
        return self


class FewStepConfig(Section):
    """A distilled few-step adapter (Lightning): part of the weights, or beside them for drafts."""

    adapter: Path = Field(
        description="Its safetensors file, or `miniature`: the one that comes with the miniature."
    )
    scale: float = Field(1.0, gt=0.0, le=4.0)
    scheduler: Literal["lightning", "checkpoint"] = Field(
        "lightning", description="lightning: a fixed shift of 3 and no terminal stretch."
    )
    use: Literal["always", "drafts"] = Field(
        "always",
        description="always: fused into the weights at the start, all edits take the steps and "
        "guidance of `planning`; drafts: kept beside the weights, for attempts in few steps that "
        "full edits follow where they fail.",
    )
    steps: PositiveInt = Field(4, description="Steps of a draft.")
    true_cfg_scale: float = Field(
        1.0, ge=1.0, le=20.0, description="Guidance of a draft; none at 1, as it was distilled."
    )


class ModelConfig(Section):
    """Which checkpoint is loaded, and how."""

    name: str = Field("qwen-image-edit", description="Name in /v1/models and in requests.")
    checkpoint: str = Field(
        "miniature",
        description="Hub id, folder, or `miniature`: a small model of the same architecture that "
        "comes with this package, edits drawn scenes and runs all of the real path on a CPU.",
    )
    revision: str | None = Field(
        None, description="Hub commit to load. Required for hub ids, so that weights can't move."
    )
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bfloat16 on CUDA, float32 elsewhere."
    )
    vae_area: PositiveInt = Field(
        1024 * 1024, description="Working canvas and reference images, in pixels of area."
    )
    condition_area: PositiveInt = Field(
        384 * 384, description="What the text encoder sees (Plus family), in pixels of area."
    )
    max_images: int = Field(4, ge=1, le=4, description="Input images per edit (Plus family).")
    adapters: AdaptersConfig = AdaptersConfig()
    memory: MemoryConfig = MemoryConfig()
    few_step: FewStepConfig | None = None

    @model_validator(mode="after")
    def _few_step_fits_the_weights(self) -> Self:
        if self.fused is not None and self.memory.gguf is not None:
            raise ValueError(
                "`few_step` can't be fused into the weights of a `memory.gguf` file: use a file "
                "that was made with the adapter, `memory.quantization`, or `use: drafts`"
            )
        return self

    @property
    def fused(self) -> FewStepConfig | None:
        """The few-step adapter, if it is part of the weights."""
        return self.few_step if self.few_step and self.few_step.use == "always" else None

    @property
    def drafts(self) -> FewStepConfig | None:
        """The few-step adapter, if it is for drafts only."""
        return self.few_step if self.few_step and self.few_step.use == "drafts" else None


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


class LimitsConfig(Section):
    """What a request may send; checked before an image is decoded."""

    body_bytes: PositiveInt = Field(64 * 2**20, description="Whole request body, bytes.")
    image_bytes: PositiveInt = Field(25 * 2**20, description="One encoded image, bytes.")
    image_pixels: PositiveInt = Field(40_000_000, description="Width times height.")
    min_side: PositiveInt = Field(32, description="Shortest side, pixels.")
    max_side: PositiveInt = Field(10_000, description="Longest side, pixels.")
    max_aspect: PositiveFloat = Field(10.0, description="Longer side over shorter side.")
    prompt_characters: PositiveInt = Field(4_000, description="Characters after NFC.")
    max_steps: PositiveInt = Field(200, description="Largest num_inference_steps.")
    request_s: PositiveFloat = Field(
        540.0, description="Longest time for one edit, seconds; below Serve's request_timeout_s."
    )
    max_n: PositiveInt = Field(8, description="Largest `n`.")
    max_priority: int = Field(
        9, ge=5, le=9, description="Highest `priority` of requests; 5 is everybody's by default."
    )
    decode_s: PositiveFloat = Field(5.0, description="Deadline to decode one image, seconds.")
    decode_processes: PositiveInt = Field(1, description="Decoding processes per ingress.")
    pending_decodes: PositiveInt = Field(
        64, description="Different images per ingress decoding or waiting for it; more get 429."
    )
    decoded_cache_bytes: int = Field(
        64 * 2**20, ge=0, description="Recently decoded inputs kept per ingress, bytes."
    )


class TypeParameters(Section):
    """Parameters of one edit type."""

    true_cfg_scale: float = Field(4.0, ge=1.0, le=20.0)
    num_inference_steps: PositiveInt = 50
    negative_prompt: str = " "


class EditTypes(Section):
    """Parameters of every edit type."""

    semantic: TypeParameters = TypeParameters(true_cfg_scale=3.5)
    appearance: TypeParameters = TypeParameters(true_cfg_scale=4.5)
    text: TypeParameters = TypeParameters(num_inference_steps=75)
    hybrid: TypeParameters = TypeParameters()


class PlanningConfig(Section):
    """Parameters per edit type, unless a request sets them."""

    edit_types: EditTypes = EditTypes()
    true_cfg_scale: float | None = Field(
        None, ge=1.0, le=20.0, description="Overrides every type: for few-step models 1.0."
    )
    num_inference_steps: PositiveInt | None = Field(
        None, description="Overrides every type: for few-step models 4 or 8."
    )
    quality: Literal["draft", "standard", "best"] = Field(
        "standard",
        description="draft: one attempt, by the few-step model where there are "
        "drafts; standard: the full model where that fails; best: the full model, 4 attempts.",
    )
    max_attempts: int = Field(
        2, ge=1, le=4, description="Edits until one passes, at standard quality."
    )
    guidance_step: PositiveFloat = Field(
        1.0, description="How far a further attempt moves true_cfg_scale, where that may help."
    )
    more_steps: PositiveFloat = Field(
        0.2, description="Steps that a further attempt takes more, as a share of the planned."
    )
    ask_model: bool = Field(
        False,
        description="Let the text encoder choose the edit type of `auto` and rewrite the prompts "
        "of failed attempts, if it answers sanely; rules do it otherwise.",
    )
    ask_s: PositiveFloat = Field(
        20.0, description="After so long without its answer the rules do it, seconds."
    )


class CacheConfig(Section):
    """The result cache and single flight."""

    memory_bytes: int = Field(256 * 2**20, ge=0, description="Memory tier of the cache, bytes.")
    near_bytes: int = Field(64 * 2**20, ge=0, description="Copies kept in each ingress, bytes.")
    near_s: PositiveFloat = Field(
        60.0, description="How long such a copy lives, and an erased result with it, seconds."
    )
    disk_bytes: int = Field(4 * 2**30, ge=0, description="Disk tier, bytes.")
    lease_s: PositiveFloat = Field(
        15.0, description="A leader that is silent for so long hands over, seconds."
    )
    quarantine_s: PositiveFloat = Field(
        3600.0,
        description="An edit over which two replicas died is refused for so long, seconds.",
    )


class StorageConfig(Section):
    """Where files, results and the disk tier of the cache live."""

    root: str = Field(
        "~/.cache/qwen-edit-serve",
        description="A folder or any fsspec URL (s3://…). The cache needs a local folder: "
        "`local_root`.",
    )
    local_root: Path | None = Field(None, description="Defaults to `root` if that is local.")
    keep_s: PositiveFloat | None = Field(
        30 * 24 * 3600.0,
        description="Files and results that no job has are erased after so long, seconds; null "
        "keeps them for good.",
    )

    @property
    def folder(self) -> Path:
        """The local folder; raises ``ConfigurationError`` if there is none."""
        if self.local_root is not None:
            return self.local_root.expanduser()
        if self.root.startswith("file://"):
            return Path(self.root.removeprefix("file://"))
        if "://" in self.root:
            raise ConfigurationError(
                "`storage.root` is not on this machine: set `storage.local_root` to a folder.",
                "storage.local_root",
            )
        return Path(self.root).expanduser()


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


PLATFORM = r"^[a-z0-9][a-z0-9_-]{0,31}$"
"""What the folder of a platform's pictures is called."""

LONGEST_TARGET_SIDE = 10_000
"""Pixels."""


class Target(Section):
    """A format that brand sets are made for."""

    platform: str = Field(pattern=PLATFORM, description="Folder that its pictures are in.")
    width: PositiveInt = Field(le=LONGEST_TARGET_SIDE, description="Pixels.")
    height: PositiveInt = Field(le=LONGEST_TARGET_SIDE, description="Pixels.")


class BrandConfig(Section):
    """Brand sets: formats, prompts, fonts."""

    targets: dict[str, Target] = Field(
        {
            "instagram_story": Target(platform="instagram", width=1080, height=1920),
            "instagram_post": Target(platform="instagram", width=1080, height=1080),
            "twitter_card": Target(platform="twitter", width=1200, height=630),
            "blog_header": Target(platform="blog", width=1200, height=600),
            "blog_thumbnail": Target(platform="blog", width=600, height=400),
        },
        description="Formats that jobs may name; jobs may bring others, too.",
    )
    prompt: tuple[str, ...] = Field(
        (
            "{prompt}",
            "Use the brand's colours: {colors}.",
            "Style: {style}.",
            "Leave the {logo_position} of the picture calm, a logo will be put there.",
        ),
        description="What an edit is told, in this order. {prompt} is the variation's own; a "
        "sentence is left out where its {colors}, {style}, {logo_position} or {name} is not given.",
    )
    outpainting: str = Field(
        "Continue the picture into the blurred borders, so that it fills the whole canvas.",
        description="What is said, too, where the picture was put on a larger canvas.",
    )
    aspect_group: float = Field(
        1.35,
        ge=1.0,
        description="Targets whose aspects differ by no more than this factor share an edit.",
    )
    delta_e: PositiveFloat = Field(
        10.0, description="CIEDE2000 within which a colour counts as a brand colour."
    )
    fonts: Path | None = Field(
        Path("/usr/share/fonts"),
        description="Folder of fonts for captions, by file name; without it there is one.",
    )
    max_targets: PositiveInt = Field(50, description="Most targets of one job.")
    max_pictures: PositiveInt = Field(2000, description="Most variations times targets.")

    @model_validator(mode="after")
    def _prompt_is_a_template(self) -> Self:
        known = {"prompt", "colors", "style", "logo_position", "name"}
        for sentence in self.prompt:
            try:
                named = {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}
            except ValueError as error:
                raise ValueError(f"`prompt` has a sentence that is no template: {error}") from None
            if not named <= known:
                raise ValueError(f"`prompt` may name {', '.join(sorted(known))} in braces")
        if not any("{prompt}" in sentence for sentence in self.prompt):
            raise ValueError("`prompt` must have the variation's own {prompt} somewhere")
        return self


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


class CheckLimits(Section):
    """From where on a check warns or rejects, in its own unit; with neither it only informs."""

    warn: float | None = Field(None, description="Beyond it the edit passes with a reason.")
    fail: float | None = Field(None, description="Beyond it the edit is rejected.")


class JudgeConfig(Section):
    """The model that says whether the instruction was followed, which pixels can't tell."""

    kind: Literal["none", "text_encoder", "similarity"] = Field(
        "none",
        description="text_encoder: the editors' own Qwen2.5-VL is asked yes-or-no questions, if "
        "it answers sanely; similarity: a CLIP or SigLIP compares both pictures with the words.",
    )
    checkpoint: str | None = Field(
        None, description="Folder or hub id of the CLIP or SigLIP (similarity)."
    )
    revision: str | None = Field(
        None, description="Hub commit to load. Required for hub ids, so that weights can't move."
    )
    device: Literal["cpu", "cuda", "mps"] = Field("cpu", description="Where it runs (similarity).")
    threshold: Fraction = Field(0.5, description="Least score that passes, 0..1.")
    patience_s: PositiveFloat = Field(
        30.0, description="An edit is judged without it after so long, seconds."
    )

    @model_validator(mode="after")
    def _similarity_has_a_checkpoint(self) -> Self:
        if (self.kind == "similarity") != (self.checkpoint is not None):
            raise ValueError("`checkpoint` and `kind: similarity` belong together: set both")
        return self


EditTypeName = Literal["semantic", "appearance", "text", "hybrid"]


class QualityConfig(Section):
    """What the checks decide by; the table of limits is in `quality/table.py`."""

    checks: dict[str, dict[EditTypeName, CheckLimits | None]] = Field(
        {},
        description="Limits in place of the table's, by check and edit type; null switches a "
        "check off, `{}` makes it a figure.",
    )
    collapse_std: PositiveFloat = Field(6.0, description="Least standard deviation, 0..255.")
    collapse_entropy: PositiveFloat = Field(0.5, description="Least luma entropy, bits.")
    collapse_flatness: Fraction = Field(0.35, description="Largest spectral flatness.")
    no_op_area: Fraction = Field(0.0015, description="Least share of changed pixels.")
    no_op_delta_e: PositiveFloat = Field(9.0, description="Least 99.9th percentile of dE.")
    no_op_cast: PositiveFloat = Field(3.0, description="Least median Lab shift.")
    oversaturation_chroma: float = Field(
        1.35, gt=1.0, description="Largest mean Lab chroma, as a multiple of the original's."
    )
    oversaturation_clipping: PositiveFloat = Field(
        0.05, description="Largest growth of the share of clipped pixels."
    )
    read_text: bool = Field(
        True, description="Read words (OCR); off, the checks of text are skipped."
    )
    judge: JudgeConfig = JudgeConfig()
    threads: PositiveInt = Field(2, description="CPU threads per validator replica.")
    side: PositiveInt = Field(768, description="Longest side the checks look at, pixels.")


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


class ServiceConfig(Section):
    """The whole service: the `args` of a Serve application."""

    model: ModelConfig = ModelConfig()
    engine: EngineConfig = EngineConfig()
    limits: LimitsConfig = LimitsConfig()
    planning: PlanningConfig = PlanningConfig()
    cache: CacheConfig = CacheConfig()
    storage: StorageConfig = StorageConfig()
    quality: QualityConfig = QualityConfig()
    jobs: JobsConfig = JobsConfig()
    monitor: MonitorConfig = MonitorConfig()
    brand: BrandConfig = BrandConfig()
    bulk: BulkConfig = BulkConfig()
    deployments: DeploymentsConfig = DeploymentsConfig()

    @property
    def asks_model(self) -> bool:
        """Whether anybody would put questions to the editors' text encoder."""
        return self.planning.ask_model or self.quality.judge.kind == "text_encoder"

    @model_validator(mode="after")
    def _editors_can_refuse(self) -> Self:
        if self.deployments.editor.max_ongoing_requests <= self.engine.max_pending:
            raise ValueError(
                "`deployments.editor.max_ongoing_requests` must be above `engine.max_pending`, or "
                "requests would queue without end instead of being refused"
            )
        return self

    @property
    def bulk_in_flight(self) -> int:
        """Rows of a bulk run that are in an editor at once."""
        return max(
            self.engine.max_batch_size, self.bulk.in_flight or 4 * self.engine.max_batch_size
        )

    @model_validator(mode="after")
    def _watchers_leave_room(self) -> Self:
        if self.jobs.watchers >= self.deployments.ingress.max_ongoing_requests:
            raise ValueError(
                "`jobs.watchers` must be below `deployments.ingress.max_ongoing_requests`, or "
                "nobody could send a request while so many watch"
            )
        return self

    @model_validator(mode="after")
    def _all_of_n_fit_the_queue(self) -> Self:
        if self.limits.max_n > self.engine.max_pending_of_one:
            raise ValueError(
                "`limits.max_n` must be at most seven eighths of `engine.max_pending`, which one "
                "tenant may hold, or some requests could never be taken in"
            )
        return self

    @model_validator(mode="after")
    def _compiled_blocks_stay_as_they_are(self) -> Self:
        if not self.engine.acceleration.compile:
            return self
        memory = self.model.memory
        if memory.offload == "group" or memory.float8_storage:
            raise ValueError(
                "`engine.acceleration.compile` does not work with `model.memory.offload: group` "
                "or `float8_storage`, which move or cast weights inside the compiled blocks"
            )
        if self.model.adapters.folder is not None:
            raise ValueError(
                "`engine.acceleration.compile` does not work with `model.adapters`: every "
                "adapter and every scale would compile again, in the middle of edits"
            )
        if self.model.drafts is not None:
            raise ValueError(
                "`engine.acceleration.compile` does not work with `model.few_step.use: drafts`, "
                "whose adapter is switched on and off inside the compiled blocks: choose one"
            )
        return self
