"""Which weights are loaded, and how they are held."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from serve_app.config.section import Section


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
