"""Trains the few-step adapter: the transformer's LoRA for two or four steps without guidance."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import QwenImageEditPlusPipeline
from peft import LoraConfig, get_peft_model_state_dict
from torch.optim import AdamW

from serve_app.engine.miniature.flow_training import FlowMatching
from serve_app.engine.miniature.pretrained import FEW_STEP
from serve_app.engine.miniature.stage import Stage

RANK = 16
LEARNING_RATE = 1e-3

# The sigmas that two and four steps visit under the few-step schedule, a shift of three.
VISITED = (1.0, 0.9, 0.75, 0.5)
_OFTEN = (0.4, 0.2, 0.2, 0.2)
_TARGETS = [
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "add_q_proj",
    "add_k_proj",
    "add_v_proj",
    "to_add_out",
    "net.0.proj",
    "net.2",
]


def sigmas_of_few_steps(generator: torch.Generator, batch: int) -> torch.Tensor:
    """Only the sigmas that few steps visit, the first of them most often."""
    often = torch.tensor(_OFTEN)
    drawn = torch.multinomial(often, batch, replacement=True, generator=generator)
    return torch.tensor(VISITED)[drawn]


def train_few_step(flow: FlowMatching, out: Path, seconds: float) -> dict[str, torch.Tensor]:
    """Train the adapter on a transformer that stays as it is; return its layers in float16.

    It learns from the same pairs, at the few noise levels it will meet, and always from an
    instruction: all of its capacity goes to what few steps without guidance need.
    """
    transformer = flow.transformer
    transformer.requires_grad_(False)
    transformer.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=_TARGETS))
    trained = [parameter for parameter in transformer.parameters() if parameter.requires_grad]
    stage = Stage(
        "few_step",
        transformer,
        [AdamW(trained, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0)],
        out,
        seconds,
        decay=0.99,
        warm_up=50,
        constant_until=0.2,
    )
    flow.sigmas, flow.unconditional, flow.copies = sigmas_of_few_steps, 0.0, 0.0
    stage.complete(flow.loss_of_steps)
    layers = get_peft_model_state_dict(transformer)
    return {name: weight.cpu().to(torch.float16) for name, weight in layers.items()}


def save_few_step(layers: dict[str, torch.Tensor], checkpoint: Path) -> None:
    """Write the adapter beside the checkpoint's parts, in the keys of diffusers."""
    QwenImageEditPlusPipeline.save_lora_weights(
        checkpoint, transformer_lora_layers=layers, weight_name=FEW_STEP.name
    )
