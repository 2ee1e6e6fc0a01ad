"""Opens a Qwen-Image-Edit checkpoint: a hub id, a folder, or the miniature."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, QwenImageEditPipeline, QwenImageEditPlusPipeline

from serve_app.config import MemoryConfig, ModelConfig
from serve_app.edits.model import FewStepDrafts, ModelDescription
from serve_app.engine.adapters import Adapters
from serve_app.engine.few_step import (
    adapter_file,
    few_step_scheduler,
    fuse_few_step,
    keep_for_drafts,
)
from serve_app.engine.miniature.create import read_card
from serve_app.engine.miniature.pretrained import MINIATURE, SHIPPED
from serve_app.engine.placement import place
from serve_app.engine.processor import load_processor, template_prefix_length
from serve_app.engine.quantization import load_reduced_transformer, quantize
from serve_app.engine.revision import file_revision, folder_revision
from serve_app.engine.row_attention import RowAttention
from serve_app.errors import ConfigurationError

logger = logging.getLogger(__name__)

_FAMILIES: dict[str, tuple[type[Any], str]] = {
    "QwenImageEditPipeline": (QwenImageEditPipeline, "qwen-image-edit"),
    "QwenImageEditPlusPipeline": (QwenImageEditPlusPipeline, "qwen-image-edit-plus"),
}
_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class Checkpoint:
    """A loaded pipeline and what the engine needs to know of it.

    ``pipeline`` is the stock diffusers object on its device. ``plus`` tells the family
    with several inputs, which shows the text encoder its own, smaller copies.
    ``exclusive`` says that components share the device by turns, so that encoders, decoder
    and steps must not run at the same time. ``adapters`` are those that requests may name, and
    that of drafts. ``draft_scheduler`` is what drafts have instead of the pipeline's scheduler.
    """

    pipeline: Any
    plus: bool
    vae_area: int
    condition_area: int
    description: ModelDescription
    adapters: Adapters
    exclusive: bool = False
    draft_scheduler: Any = None

    @property
    def multiple(self) -> int:
        """Both sides of every canvas are multiples of this many pixels.

        The stock pipelines use 32, twice what an 8x VAE with 2x2 packing needs.
        """
        return max(32, 2 * int(self.pipeline.vae_scale_factor))

    @property
    def dtype(self) -> torch.dtype:
        """What latents and embeddings are computed in, however the weights are stored."""
        return _DTYPES[self.description.dtype]

    @property
    def runs_beside(self) -> bool:
        """Whether encoders and decoder run while a step does.

        On a CPU that is the same device: measured on two cores, each of the two is slowed down
        by 1.2 to 1.7 times, for they wait for the interpreter between their many small
        operations, and nothing is gained.
        """
        return not self.exclusive and self.description.device.startswith("cuda")

    def synchronize(self) -> None:
        """Wait until the device has done what this thread gave it; a CPU always has."""
        match torch.device(self.description.device):
            case torch.device(type="cuda") as device:
                torch.cuda.current_stream(device).synchronize()
            case torch.device(type="mps"):
                torch.mps.synchronize()

    def release_memory(self) -> None:
        """Give cached blocks back to the device, after it ran out of memory."""
        if self.description.device.startswith("cuda"):
            torch.cuda.empty_cache()

    @property
    def token_capacity(self) -> int:
        """Prompt tokens the rotary tables hold for any canvas of this model."""
        rotary_positions = int(self.pipeline.transformer.pos_embed.pos_freqs.shape[0])
        # Text positions start after the largest half side of an image; allow for 10:1.
        tokens_per_side = (10 * self.vae_area) ** 0.5 / (2 * self.pipeline.vae_scale_factor)
        return rotary_positions - int(tokens_per_side)


def load_checkpoint(config: ModelConfig) -> Checkpoint:
    """Load the checkpoint that ``config`` names.

    Raises ``ConfigurationError`` for an unknown pipeline class, a hub id without a pinned
    revision, a device, file or package that is not there, or an adapter of another model.
    Weights are read from safetensors and GGUF files only.
    """
    source, revision = _locate(config)
    pipeline_class, family = _family(source, revision)
    device = _device(config.device)
    dtype = _dtype(config.dtype, device)
    pipeline = _open(pipeline_class, source, revision, dtype, config)
    pipeline.set_progress_bar_config(disable=True)
    place(pipeline, config.memory, device, dtype)
    pipeline.transformer.set_attn_processor(RowAttention())
    pipeline.prompt_template_encode_start_idx = template_prefix_length(pipeline)
    plus = pipeline_class is QwenImageEditPlusPipeline
    adapters = Adapters(pipeline, config.adapters)
    if (drafts := config.drafts) is not None:
        keep_for_drafts(adapters, drafts)
    card = read_card(Path(source))
    description = ModelDescription(
        name=config.name,
        family=family,
        revision=_weights_revision(revision or folder_revision(Path(source)), config),
        miniature=card is not None,
        max_images=config.max_images if plus else 1,
        dtype=str(dtype).removeprefix("torch."),
        device=str(device),
        adapters=adapters.descriptions,
        edits=tuple(card.get("edits", ())) if card else (),
        drafts=None if drafts is None else FewStepDrafts(drafts.steps, drafts.true_cfg_scale),
    )
    logger.info("loaded %s, %s on %s", description.name, description.revision, device)
    return Checkpoint(
        pipeline,
        plus,
        config.vae_area,
        config.condition_area,
        description,
        adapters,
        exclusive=config.memory.offload != "none",
        draft_scheduler=None if drafts is None else few_step_scheduler(pipeline, drafts),
    )


def _open(
    pipeline_class: type[Any],
    source: str,
    revision: str | None,
    dtype: torch.dtype,
    config: ModelConfig,
) -> Any:
    """Read the components, in the configured number formats, with a few-step adapter fused."""
    memory, components = config.memory, {}
    if processor := load_processor(source, revision):
        components["processor"] = processor
    reduced = memory.gguf is not None or memory.quantization != "none"
    if reduced and config.fused is None:
        components["transformer"] = load_reduced_transformer(source, revision, dtype, memory)
    pipeline = pipeline_class.from_pretrained(
        source, revision=revision, dtype=dtype, use_safetensors=True, **components
    )
    if config.fused is not None:
        fuse_few_step(pipeline, config.fused)
        if memory.quantization != "none":
            quantize(pipeline.transformer, memory.quantization)
    return pipeline


def _weights_revision(revision: str, config: ModelConfig) -> str:
    """Name the weights as they are held: every mode that changes pixels changes the name."""
    return "+".join([revision, *_changes(config.memory), *_few_step(config)])


def _changes(memory: MemoryConfig) -> Iterator[str]:
    if memory.gguf is not None:
        yield f"gguf-{file_revision(memory.gguf.expanduser())}"
    if memory.quantization != "none":
        yield memory.quantization
    if memory.float8_storage:
        yield "float8-storage"
    if memory.vae_tiling:
        yield "tiled"


def _few_step(config: ModelConfig) -> Iterator[str]:
    if config.few_step is not None:
        few_step = config.few_step
        digest = file_revision(adapter_file(few_step))
        beside = "drafts-" if few_step.use == "drafts" else ""
        yield f"{beside}{few_step.scheduler}-{digest}-{few_step.scale:g}"


def _locate(config: ModelConfig) -> tuple[str, str | None]:
    if config.checkpoint == MINIATURE:
        return str(SHIPPED), None
    folder = Path(config.checkpoint).expanduser()
    if folder.is_dir():
        return str(folder), None
    if folder.is_absolute() or config.checkpoint.startswith((".", "~")):
        raise ConfigurationError(
            "`model.checkpoint` is a folder that is not there.", "model.checkpoint"
        )
    if config.revision is None:
        raise ConfigurationError(
            "A checkpoint from the hub needs `model.revision`, a commit, so that its weights "
            "can't change under a running service.",
            "model.revision",
        )
    return config.checkpoint, config.revision


def _family(source: str, revision: str | None) -> tuple[type[Any], str]:
    try:
        index = DiffusionPipeline.load_config(source, revision=revision)
    except OSError as error:
        raise ConfigurationError(
            "`model.checkpoint` is neither the miniature, a folder with a model_index.json, nor "
            "a hub id that can be reached.",
            "model.checkpoint",
        ) from error
    name = str(index.get("_class_name"))
    if name not in _FAMILIES:
        raise ConfigurationError(
            f"`model.checkpoint` is a {name}; this service runs {' and '.join(_FAMILIES)}.",
            "model.checkpoint",
        )
    return _FAMILIES[name]


def _device(wanted: str) -> torch.device:
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        wanted = next(name for name, there in present.items() if there)
    if not present[wanted]:
        raise ConfigurationError(
            f"`model.device` is {wanted}, which this machine lacks.", "model.device"
        )
    return torch.device(wanted)


def _dtype(wanted: str, device: torch.device) -> torch.dtype:
    if wanted == "auto":
        wanted = "bfloat16" if device.type == "cuda" else "float32"
    return _DTYPES[wanted]
