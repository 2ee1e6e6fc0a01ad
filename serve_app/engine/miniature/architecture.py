"""The parts of a small Qwen-Image-Edit: the real classes at given sizes, with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
)
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from serve_app.engine.processor import ImageOnlyProcessor

Family = Literal["edit", "edit_plus"]

LATENT_CHANNELS = 16
_PIPELINES = {"edit": QwenImageEditPipeline, "edit_plus": QwenImageEditPlusPipeline}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large each part is.

    ``side`` is that of the pictures a model is trained on, pixels. ``levels`` multiply the
    autoencoder's width ``vae_width``; each but the last halves the sides. ``text_width`` and
    ``text_hidden`` are channels of the text encoder's layers and of their inner parts,
    ``text_heads`` and ``text_key_heads`` its attention heads. ``rope_axes`` are the channels of
    the transformer's heads that go to frame, height and width. ``condition_sides`` bound what the
    vision tower sees, pixels, least and most: 28 x 28 make one token.
    """

    side: int
    vae_width: int
    levels: tuple[int, ...]
    text_width: int
    text_layers: int
    text_hidden: int
    text_heads: int
    text_key_heads: int
    tied_embeddings: bool
    vision_depth: int
    vision_width: int
    layers: int
    heads: int
    head_dim: int
    rope_axes: tuple[int, int, int]
    condition_sides: tuple[int, int]

    @property
    def cell(self) -> int:
        """Pixels a latent is wide and high."""
        return int(2 ** (len(self.levels) - 1))

    @property
    def tokens_per_side(self) -> int:
        """Tokens of the transformer along one side of a picture; one packs 2x2 latents."""
        return self.side // (2 * self.cell)


TINY = Sizes(
    side=128,
    vae_width=8,
    levels=(1, 2, 4, 4),
    text_width=64,
    text_layers=2,
    text_hidden=128,
    text_heads=4,
    text_key_heads=2,
    tied_embeddings=False,
    vision_depth=2,
    vision_width=32,
    layers=2,
    heads=3,
    head_dim=16,
    rope_axes=(8, 4, 4),
    condition_sides=(28, 256),
)
"""The least that keeps every mechanism of the full model; for tests, never trained."""

SMALL = Sizes(
    side=64,
    vae_width=16,
    levels=(1, 2, 4),
    text_width=128,
    text_layers=3,
    text_hidden=384,
    text_heads=4,
    text_key_heads=4,
    tied_embeddings=True,
    vision_depth=1,
    vision_width=32,
    layers=6,
    heads=3,
    head_dim=64,
    rope_axes=(16, 24, 24),
    condition_sides=(28, 28),
)
"""What two CPU cores can train: 64 tokens of 8x8 pixels."""

LARGE = Sizes(
    side=128,
    vae_width=24,
    levels=(1, 2, 4, 4),
    text_width=192,
    text_layers=4,
    text_hidden=512,
    text_heads=6,
    text_key_heads=6,
    tied_embeddings=True,
    vision_depth=1,
    vision_width=32,
    layers=8,
    heads=3,
    head_dim=64,
    rope_axes=(16, 24, 24),
    condition_sides=(28, 28),
)
"""For a GPU: the full model's 8x autoencoder on pictures of 128x128."""


def autoencoder(sizes: Sizes) -> AutoencoderKLQwenImage:
    """An autoencoder whose latents have 16 channels, as the full model's."""
    return AutoencoderKLQwenImage(
        base_dim=sizes.vae_width,
        z_dim=LATENT_CHANNELS,
        dim_mult=list(sizes.levels),
        num_res_blocks=1,
        temperal_downsample=[False] + [True] * (len(sizes.levels) - 2),
        latents_mean=[0.0] * LATENT_CHANNELS,
        latents_std=[1.0] * LATENT_CHANNELS,
    ).eval()


def text_encoder(sizes: Sizes, tokenizer: Any) -> Qwen2_5_VLForConditionalGeneration:
    """A text encoder with its vision tower, for the tokens of ``tokenizer``."""
    # Of a head's pairs of channels a quarter goes to time, the rest to height and width.
    pairs = sizes.text_width // sizes.text_heads // 2
    time = pairs // 4
    side = (pairs - time) // 2
    config = text_encoder_config(
        tokenizer,
        text={
            "vocab_size": len(tokenizer),
            "hidden_size": sizes.text_width,
            "intermediate_size": sizes.text_hidden,
            "num_hidden_layers": sizes.text_layers,
            "num_attention_heads": sizes.text_heads,
            "num_key_value_heads": sizes.text_key_heads,
            "max_position_embeddings": 8192,
            "rope_parameters": rope(time, side, side),
            "tie_word_embeddings": sizes.tied_embeddings,
        },
        vision={
            "depth": sizes.vision_depth,
            "hidden_size": sizes.vision_width,
            "intermediate_size": 2 * sizes.vision_width,
            "num_heads": 2,
            "out_hidden_size": sizes.text_width,
            "window_size": 56,
            "fullatt_block_indexes": [sizes.vision_depth - 1],
        },
    )
    return Qwen2_5_VLForConditionalGeneration(config).eval()


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
        tie_word_embeddings=bool(text.get("tie_word_embeddings", False)),
    )


def transformer(sizes: Sizes, *, zero_cond_t: bool = False) -> QwenImageTransformer2DModel:
    """A transformer; ``zero_cond_t`` makes it one of the 2511 kind."""
    return QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=4 * LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_layers=sizes.layers,
        attention_head_dim=sizes.head_dim,
        num_attention_heads=sizes.heads,
        joint_attention_dim=sizes.text_width,
        axes_dims_rope=sizes.rope_axes,
        zero_cond_t=zero_cond_t,
    ).eval()


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


def assemble(
    sizes: Sizes, tokenizer: Any, family: Family = "edit_plus", *, zero_cond_t: bool = False
) -> Any:
    """A whole pipeline of the stock classes, with weights drawn from torch's generator."""
    least, most = sizes.condition_sides
    image_processor = Qwen2VLImageProcessorPil(min_pixels=least**2, max_pixels=most**2)
    return _PIPELINES[family](
        scheduler=scheduler(),
        vae=autoencoder(sizes),
        text_encoder=text_encoder(sizes, tokenizer),
        tokenizer=tokenizer,
        processor=ImageOnlyProcessor(image_processor, tokenizer),
        transformer=transformer(sizes, zero_cond_t=zero_cond_t),
    )
