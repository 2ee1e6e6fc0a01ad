"""Creates the miniature checkpoint: the real classes, tiny sizes, random weights.

Sizes are the smallest that keep every mechanism of the full model: an 8x VAE with its
16 latent channels, 2x2 packing, windowed and full vision attention, multimodal rotary
positions, a two-stream transformer with three-axis rotary positions.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
)
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from serve_app.engine.miniature.tokenizer import byte_tokenizer
from serve_app.engine.processor import ImageOnlyProcessor

VERSION = "1"
CARD = "miniature.json"
"""File in the checkpoint folder that says it is a miniature, and of which version."""

_PIPELINES = {"edit": QwenImageEditPipeline, "edit_plus": QwenImageEditPlusPipeline}
_HIDDEN = 64


def create_miniature(
    folder: Path,
    family: Literal["edit", "edit_plus"] = "edit_plus",
    *,
    zero_cond_t: bool = False,
    seed: int = 0,
) -> None:
    """Write a miniature checkpoint to ``folder``, complete or not at all.

    The folder opens in stock diffusers and through ``load_checkpoint`` alike. Equal
    arguments give equal weights. ``zero_cond_t`` makes the transformer of the 2511 kind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        _assemble(family, zero_cond_t, seed).save_pretrained(unfinished, safe_serialization=True)
        _name_stock_processor(unfinished)
        (unfinished / CARD).write_text(json.dumps({"miniature": True, "version": VERSION}))
        _publish(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _publish(unfinished: Path, folder: Path) -> None:
    try:
        unfinished.rename(folder)
    except OSError:
        # Another editor on this machine was quicker; its weights are the same.
        if not (folder / CARD).is_file():
            raise


def _assemble(family: Literal["edit", "edit_plus"], zero_cond_t: bool, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = byte_tokenizer()
        image_processor = Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=256 * 256)
        return _PIPELINES[family](
            scheduler=scheduler(),
            vae=_vae(),
            text_encoder=_text_encoder(tokenizer),
            tokenizer=tokenizer,
            processor=ImageOnlyProcessor(image_processor, tokenizer),
            transformer=_transformer(zero_cond_t),
        )


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    """The scheduler as Qwen-Image-Edit-2509 configures it."""
    return FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True,
        base_shift=0.5,
        max_shift=0.9,
        base_image_seq_len=256,
        max_image_seq_len=8192,
        shift_terminal=0.02,
        time_shift_type="exponential",
    )


def _vae() -> AutoencoderKLQwenImage:
    return AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=16,
        dim_mult=[1, 2, 4, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 16,
        latents_std=[1.0] * 16,
    ).eval()


def rope(*sections: int) -> dict[str, Any]:
    """The text encoder's rotary positions; ``sections`` go to time, height and width."""
    return {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [*sections]}


def text_encoder_config(
    tokenizer: Any, text: Mapping[str, Any], vision: Mapping[str, Any]
) -> Qwen2_5_VLConfig:
    """The text encoder's configuration at the given sizes, for the tokens of ``tokenizer``."""
    special = tokenizer.convert_tokens_to_ids
    return Qwen2_5_VLConfig(
        text_config={
            **text,
            "bos_token_id": special("<|im_start|>"),
            "eos_token_id": special("<|im_end|>"),
        },
        vision_config=dict(vision),
        image_token_id=special("<|image_pad|>"),
        video_token_id=special("<|video_pad|>"),
        vision_start_token_id=special("<|vision_start|>"),
        vision_end_token_id=special("<|vision_end|>"),
    )


def _text_encoder(tokenizer: Any) -> Qwen2_5_VLForConditionalGeneration:
    config = text_encoder_config(
        tokenizer,
        text={
            "vocab_size": len(tokenizer),
            "hidden_size": _HIDDEN,
            "intermediate_size": 2 * _HIDDEN,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 8192,
            "rope_parameters": rope(2, 3, 3),
        },
        vision={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": _HIDDEN,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
    )
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def _transformer(zero_cond_t: bool) -> QwenImageTransformer2DModel:
    return QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=64,
        out_channels=16,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=_HIDDEN,
        axes_dims_rope=(8, 4, 4),
        zero_cond_t=zero_cond_t,
    ).eval()


def _name_stock_processor(folder: Path) -> None:
    """Let the checkpoint open in stock diffusers, which doesn't know our processor class."""
    path = folder / "model_index.json"
    index = json.loads(path.read_text())
    index["processor"] = ["transformers", "Qwen2VLProcessor"]
    path.write_text(json.dumps(index, indent=2) + "\n")
    config = folder / "processor" / "processor_config.json"
    if config.is_file():
        settings = json.loads(config.read_text())
        settings["processor_class"] = "Qwen2VLProcessor"
        config.write_text(json.dumps(settings, indent=2) + "\n")
