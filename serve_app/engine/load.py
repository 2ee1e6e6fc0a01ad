"""Opens a Qwen-Image-Edit checkpoint: a hub id, a folder, or the miniature."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, QwenImageEditPipeline, QwenImageEditPlusPipeline

from serve_app.config import ModelConfig
from serve_app.edits.model import ModelDescription
from serve_app.engine.miniature.create import CARD, VERSION, create_miniature
from serve_app.engine.processor import load_processor
from serve_app.engine.revision import folder_revision
from serve_app.errors import ConfigurationError

logger = logging.getLogger(__name__)

MINIATURE = "miniature"

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
    """

    pipeline: Any
    plus: bool
    vae_area: int
    condition_area: int
    description: ModelDescription

    @property
    def multiple(self) -> int:
        """Both sides of every canvas are multiples of this many pixels.

        The stock pipelines use 32, twice what an 8x VAE with 2x2 packing needs.
        """
        return max(32, 2 * int(self.pipeline.vae_scale_factor))

    def synchronize(self) -> None:
        """Wait until the device has done what it was given; a CPU always has."""
        match torch.device(self.description.device):
            case torch.device(type="cuda") as device:
                torch.cuda.synchronize(device)
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


def load_checkpoint(config: ModelConfig, local_root: Path) -> Checkpoint:
    """Load the checkpoint that ``config`` names.

    Raises ``ConfigurationError`` for an unknown pipeline class, a hub id without a pinned
    revision, or a device that is not there. Weights are read from safetensors only.
    """
    source, revision = _locate(config, local_root)
    pipeline_class, family = _family(source, revision)
    device = _device(config.device)
    dtype = _dtype(config.dtype, device)
    components: dict[str, Any] = {}
    if processor := load_processor(source, revision):
        components["processor"] = processor
    pipeline = pipeline_class.from_pretrained(
        source, revision=revision, dtype=dtype, use_safetensors=True, **components
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(device)
    pipeline.prompt_template_encode_start_idx = _template_prefix_length(pipeline)
    plus = pipeline_class is QwenImageEditPlusPipeline
    description = ModelDescription(
        name=config.name,
        family=family,
        revision=revision or folder_revision(Path(source)),
        miniature=(Path(source) / CARD).is_file(),
        max_images=config.max_images if plus else 1,
        dtype=str(dtype).removeprefix("torch."),
        device=str(device),
    )
    logger.info("loaded %s, %s on %s", description.name, description.revision, device)
    return Checkpoint(pipeline, plus, config.vae_area, config.condition_area, description)


def _locate(config: ModelConfig, local_root: Path) -> tuple[str, str | None]:
    if config.checkpoint == MINIATURE:
        folder = local_root / "models" / f"miniature-{VERSION}"
        if not (folder / CARD).is_file():
            create_miniature(folder)
        return str(folder), None
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


def _template_prefix_length(pipeline: Any) -> int:
    """Count the tokens of the system prompt, whose hidden states are cut off.

    The stock pipelines say 64, which is right for the Qwen tokenizer only.
    """
    template: str = pipeline.prompt_template_encode
    prefix = template.split("<|vision_start|>")[0].split("{}")[0]
    return len(pipeline.tokenizer(prefix)["input_ids"])
