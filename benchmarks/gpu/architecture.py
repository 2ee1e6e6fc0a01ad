"""The architecture at the published sizes, with random weights made on the device itself.

Random weights run at the real model's speed: a matrix product takes as long whatever is in
it, as long as it is neither constant nor denormal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
)
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from serve_app.engine.miniature.architecture import rope, scheduler, text_encoder_config
from serve_app.engine.miniature.tokenizer import byte_tokenizer
from serve_app.engine.processor import ImageOnlyProcessor, template_prefix_length
from serve_app.engine.row_attention import RowAttention


@dataclass(frozen=True)
class Size:
    """One size of the architecture, and what is measured at it.

    ``side`` is the square canvas of the edits in pixels, ``condition_area`` the area of the
    copy that the text encoder sees. ``together`` are canvases, each with the number of edits
    that arrive at once. ``text_lengths`` are the tokens that it makes of the
    prompt and of the neutral negative prompt, for what is measured without it and the floor.
    """

    name: str
    dtype: torch.dtype
    transformer: Mapping[str, Any]
    vae: Mapping[str, Any]
    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    side: int
    condition_area: int
    curve_sides: tuple[int, ...]
    together: tuple[tuple[int, int], ...]
    long_steps: int
    short_steps: int
    text_lengths: tuple[int, int]
    matmul_side: int
    compiler: str
    targets: bool


FULL = Size(
    name="full",
    dtype=torch.bfloat16,
    # Qwen/Qwen-Image-Edit-2509, transformer/config.json: 20,430,401,088 parameters.
    transformer={
        "patch_size": 2,
        "in_channels": 64,
        "out_channels": 16,
        "num_layers": 60,
        "attention_head_dim": 128,
        "num_attention_heads": 24,
        "joint_attention_dim": 3584,
        "axes_dims_rope": (16, 56, 56),
    },
    vae={},
    # Qwen/Qwen2.5-VL-7B-Instruct, config.json: 8,292,166,656 parameters.
    text={
        "vocab_size": 152_064,
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "max_position_embeddings": 128_000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": rope(16, 24, 24),
    },
    vision={
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "out_hidden_size": 3584,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "patch_size": 14,
        "spatial_merge_size": 2,
    },
    side=1024,
    condition_area=384 * 384,
    curve_sides=(512, 1024),
    together=((512, 8), (1024, 4)),
    long_steps=50,
    short_steps=4,
    # The picture's 14 x 14 tokens, its marks, the prompt's bytes, the rest of the template.
    text_lengths=(261, 223),
    matmul_side=8192,
    compiler="inductor",
    targets=True,
)

MINIATURE = Size(
    name="miniature",
    dtype=torch.float32,
    transformer={
        **FULL.transformer,
        "num_layers": 2,
        "attention_head_dim": 16,
        "num_attention_heads": 3,
        "joint_attention_dim": 64,
        "axes_dims_rope": (8, 4, 4),
    },
    vae={"base_dim": 8, "num_res_blocks": 1},
    text={
        **FULL.text,
        "vocab_size": 263,
        "hidden_size": 64,
        "intermediate_size": 128,
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
        "out_hidden_size": 64,
        "window_size": 56,
        "fullatt_block_indexes": [1],
    },
    side=64,
    condition_area=64 * 64,
    curve_sides=(64, 128),
    together=((64, 4),),
    long_steps=5,
    short_steps=2,
    text_lengths=(69, 31),
    matmul_side=256,
    compiler="eager",
    targets=False,
)


@contextmanager
def _random_weights(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Let modules be made on ``device`` in ``dtype``: no copy in the host's memory.

    Rotary tables say float32 (or complex64) themselves, so they keep it.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    torch.manual_seed(0)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def make_transformer(size: Size, device: torch.device, *, zero_cond_t: bool = False) -> Any:
    """Make the transformer; ``zero_cond_t`` as in Qwen-Image-Edit-2511.

    Its attention is this engine's, which is the stock pipeline's own where stock calls it.
    """
    with _random_weights(device, size.dtype):
        model = QwenImageTransformer2DModel(**size.transformer, zero_cond_t=zero_cond_t)
    model.set_attn_processor(RowAttention())
    return model.eval().requires_grad_(False)


def make_vae(size: Size, device: torch.device) -> Any:
    with _random_weights(device, size.dtype):
        model = AutoencoderKLQwenImage(**size.vae)
    return model.eval().requires_grad_(False)


def make_text_encoder(size: Size, device: torch.device) -> Any:
    config = text_encoder_config(byte_tokenizer(), size.text, size.vision)
    with _random_weights(device, size.dtype):
        model = Qwen2_5_VLForConditionalGeneration(config)
    return model.eval().requires_grad_(False)


def make_pipeline(transformer: Any, vae: Any, text_encoder: Any | None) -> Any:
    """Put the stock pipeline together; without a text encoder it needs ready embeddings.

    The tokenizer counts bytes, so a prompt has four times the tokens that it would have.
    """
    tokenizer = byte_tokenizer()
    pipeline = QwenImageEditPlusPipeline(
        scheduler=scheduler(),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        processor=ImageOnlyProcessor(
            Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=28 * 28 * 16_384), tokenizer
        ),
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.prompt_template_encode_start_idx = template_prefix_length(pipeline)
    return pipeline
