"""Small LoRA files for the miniature, in the key conventions of published ones."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import QwenImageEditPlusPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "to_add_out")
EVERYWHERE = (
    *ATTENTION,
    "add_k_proj",
    "add_v_proj",
    "img_mlp.net.0.proj",
    "img_mlp.net.2",
    "txt_mlp.net.0.proj",
    "txt_mlp.net.2",
)


def trained(
    transformer: Any,
    seed: int,
    *,
    rank: int = 4,
    targets: tuple[str, ...] = ATTENTION,
    **settings: Any,
) -> tuple[dict[str, torch.Tensor], LoraConfig]:
    """Weights as after training by peft on a copy of ``transformer``, and their settings.

    Keys are those of peft, such as ``transformer_blocks.0.attn.to_q.lora_A.weight``. The
    weights are large enough to change every result visibly.
    """
    copied = copy.deepcopy(transformer)
    config = LoraConfig(r=rank, target_modules=list(targets), **settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        copied.add_adapter(config, "default")
        state = get_peft_model_state_dict(copied, adapter_name="default")
        return {key: torch.randn(it.shape) * 0.3 for key, it in state.items()}, config


def save_as_diffusers(path: Path, weights: Mapping[str, torch.Tensor], config: LoraConfig) -> None:
    """``transformer.…lora_A.weight``, the settings of peft in the header."""
    QwenImageEditPlusPipeline.save_lora_weights(
        path.parent,
        transformer_lora_layers=dict(weights),
        weight_name=path.name,
        transformer_lora_adapter_metadata=config.to_dict(),
    )


def save_bare(path: Path, weights: Mapping[str, torch.Tensor], prefix: str = "") -> None:
    """peft's own keys behind ``prefix``, without settings."""
    save_file({prefix + key: it.contiguous() for key, it in weights.items()}, path)


def save_as_kohya(path: Path, weights: Mapping[str, torch.Tensor], alpha: float) -> None:
    """``lora_unet_transformer_blocks_0_attn_to_q.lora_down.weight`` beside ``.alpha``."""
    tensors: dict[str, torch.Tensor] = {}
    for key, it in weights.items():
        layer, _, part = key.removesuffix(".weight").rpartition(".")
        flat = "lora_unet_" + layer.replace(".", "_")
        kind = {"lora_A": "lora_down", "lora_B": "lora_up"}[part]
        tensors[f"{flat}.{kind}.weight"] = it.contiguous()
        tensors[f"{flat}.alpha"] = torch.tensor(alpha)
    save_file(tensors, path)


def save_with_alphas(path: Path, weights: Mapping[str, torch.Tensor], alpha: float) -> None:
    """``diffusion_model.…lora_A.weight`` beside ``.alpha``."""
    tensors = {f"diffusion_model.{key}": it.contiguous() for key, it in weights.items()}
    layers = {key.rpartition(".lora_")[0] for key in tensors}
    save_file(tensors | {f"{layer}.alpha": torch.tensor(alpha) for layer in layers}, path)
