"""Transformers to wrap with adapters, and what they should then give."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from serve_app.config import AdaptersConfig
from serve_app.edits.request import LoraUse
from serve_app.engine.adapters import Adapters
from serve_app.engine.load import Checkpoint

A, B, WIDE = LoraUse("a"), LoraUse("b.v1-x", 0.7), LoraUse("wide")


def fresh(checkpoint: Checkpoint) -> Any:
    """The shared pipeline around a transformer of its own."""
    shared = checkpoint.pipeline
    own = copy.deepcopy(shared.transformer)
    return type(shared)(**(shared.components | {"transformer": own}))


def forward(pipeline: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    with torch.inference_mode():
        output: torch.Tensor = pipeline.transformer(
            hidden_states=torch.randn(1, 32, 64, generator=generator),
            encoder_hidden_states=torch.randn(1, 9, 64, generator=generator),
            timestep=torch.tensor([0.6]),
            img_shapes=[[(1, 4, 4), (1, 4, 4)]],
            return_dict=False,
        )[0]
    return output


def with_dense_change(
    pipeline: Any, weights: dict[str, torch.Tensor], strength: float
) -> torch.Tensor:
    """The formula of LoRA, in the weights themselves: W + strength * up @ down."""
    merged = copy.copy(pipeline)
    merged.transformer = copy.deepcopy(pipeline.transformer)
    for key, down in weights.items():
        if key.endswith("lora_A.weight"):
            up = weights[key.replace("lora_A", "lora_B")]
            layer = merged.transformer.get_submodule(key.removesuffix(".lora_A.weight"))
            with torch.no_grad():
                layer.weight += strength * (up @ down)
    return forward(merged)


def shape_of(pipeline: Any) -> tuple[list[str], list[str]]:
    modules = [f"{name}: {type(it).__name__}" for name, it in pipeline.transformer.named_modules()]
    return modules, list(pipeline.transformer.state_dict())


def alone(pipeline: Any, folder: Path, name: str) -> Adapters:
    """Adapters with room for the named one and no byte more."""
    sizes = {
        it.name: it.nbytes for it in Adapters(pipeline, AdaptersConfig(folder=folder)).descriptions
    }
    rest = folder.parent / f"only-{name}"
    rest.mkdir(exist_ok=True)
    for file in folder.glob("*.safetensors"):
        if sizes[file.stem] <= sizes[name] and not (rest / file.name).exists():
            (rest / file.name).symlink_to(file)
    return Adapters(pipeline, AdaptersConfig(folder=rest, memory_bytes=sizes[name]))


def with_dense_change_of(
    pipeline: Any, weights: dict[str, torch.Tensor], scale: float
) -> torch.Tensor:
    """As ``with_dense_change``, for a transformer whose layers are wrapped already."""
    plain = copy.copy(pipeline)
    plain.transformer = copy.deepcopy(pipeline.transformer)
    plain.transformer.unload_lora()
    return with_dense_change(plain, weights, scale)
