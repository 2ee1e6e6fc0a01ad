"""LoRA files: which key is which part of which layer, and how strong it is.

A file is a LoRA of the transformer's linear layers in any of the usual namings: diffusers
(``transformer.….lora_A``), PEFT, ComfyUI (``diffusion_model.``), kohya (``lora_unet_…``,
``lora_down``) or none, with ``.alpha`` tensors, diffusers' metadata, or neither. Keys are
resolved here, against the transformer's own layers: the loader of diffusers only warns of
keys that match nothing and applies the rest.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from peft.utils.other import get_pattern_key
from safetensors import safe_open

Linears = Mapping[str, tuple[int, int]]
"""Inputs and outputs of every linear layer of the transformer, by its path."""

_KEY = re.compile(
    r"(?:base_model\.model\.|diffusion_model\.|transformer\.|lora_unet_)?(?P<layer>.+?)"
    r"\.(?:(?P<part>lora_A|lora_B|lora_down|lora_up)(?:\.default)?\.weight|(?P<alpha>alpha))"
)
_PARTS = {"lora_A": "down", "lora_down": "down", "lora_B": "up", "lora_up": "up"}
_METADATA = "lora_adapter_metadata"
"""Where diffusers writes the settings of peft into the header, as JSON."""


class Misfit(Exception):
    """What is wrong with a file, for the log: it names keys, which users are not told."""


@dataclass(frozen=True, slots=True)
class LowRank:
    """The change of one layer at scale 1: ``strength * up @ down``.

    ``down`` is (rank, inputs), ``up`` (outputs, rank). ``strength`` is alpha over rank.
    """

    down: torch.Tensor
    up: torch.Tensor
    strength: float


def size_of(path: Path, linears: Linears) -> int:
    """Number of weights, from the header alone; raises ``Misfit`` or ``SafetensorError``."""
    with safe_open(path, "pt") as file:
        slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
        shapes = {key: tuple(piece.get_shape()) for key, piece in slices.items()}
    layers = _resolve(shapes, linears)
    weights = (shapes[key] for parts in layers.values() for key in _weights(parts))
    return sum(math.prod(shape) for shape in weights)


def low_ranks(content: bytes, linears: Linears, dtype: torch.dtype) -> dict[str, LowRank]:
    """Read a file's bytes into layers of ``dtype``; raises ``Misfit`` or ``SafetensorError``."""
    tensors = safetensors.torch.load(content)
    layers = _resolve({key: tuple(tensor.shape) for key, tensor in tensors.items()}, linears)
    settings = _settings(content)
    low_ranks: dict[str, LowRank] = {}
    for name, parts in layers.items():
        down, up = (tensors[key].to(dtype) for key in _weights(parts))
        alpha = tensors[parts["alpha"]].item() if "alpha" in parts else None
        strength = _strength(name, len(down), alpha, settings)
        if not (math.isfinite(strength) and down.isfinite().all() and up.isfinite().all()):
            raise Misfit(f"{name} has numbers that are not finite")
        low_ranks[name] = LowRank(down, up, strength)
    return low_ranks


def _weights(parts: Mapping[str, str]) -> tuple[str, str]:
    return parts["down"], parts["up"]


def _resolve(shapes: Mapping[str, tuple[int, ...]], linears: Linears) -> dict[str, dict[str, str]]:
    """Tell which key of a file is which part (down, up, alpha) of which layer.

    Raises ``Misfit`` for a key that is no part of any, a part that is missing or there twice,
    and a shape that doesn't fit.
    """
    # kohya writes underscores for the dots of a path.
    paths = {name.replace(".", "_"): name for name in linears} | {name: name for name in linears}
    layers: dict[str, dict[str, str]] = {}
    for key in shapes:
        found = _KEY.fullmatch(key)
        if found is None or found["layer"] not in paths:
            raise Misfit(f"{key} belongs to no linear layer of the transformer")
        parts = layers.setdefault(paths[found["layer"]], {})
        part = _PARTS[found["part"]] if found["part"] else "alpha"
        if part in parts:
            raise Misfit(f"{key} is there twice, by other names")
        parts[part] = key
    if not layers:
        raise Misfit("it is empty")
    for name, parts in layers.items():
        if not parts.keys() >= {"down", "up"}:
            raise Misfit(f"a weight of {name} is missing")
        down, up = (shapes[key] for key in _weights(parts))
        inputs, outputs = linears[name]
        if down[1:] != (inputs,) or up != (outputs, down[0]) or not down[0]:
            raise Misfit(f"{name} has the shapes {down} and {up}")
        if "alpha" in parts and math.prod(shapes[parts["alpha"]]) != 1:
            raise Misfit(f"alpha of {name} is not a number")
    return layers


def _settings(content: bytes) -> dict[str, Any]:
    """The settings of peft that diffusers wrote into the header; none without them."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    try:
        settings = json.loads(header.get(_METADATA, "{}"))
    except ValueError as error:
        raise Misfit("its metadata is not JSON") from error
    if not isinstance(settings, dict):
        raise Misfit("its metadata is not an object")
    prefix = "transformer."
    return {key.removeprefix(prefix): it for key, it in settings.items() if key.startswith(prefix)}


def _strength(name: str, rank: int, alpha: float | None, settings: Mapping[str, Any]) -> float:
    """Alpha over rank: by the layer's own tensor, the settings, or 1 (as diffusers takes it)."""
    if alpha is not None:
        return alpha / rank
    try:
        patterns: dict[str, Any] = settings.get("alpha_pattern") or {}
        usual = settings.get("lora_alpha", rank)
        chosen = float(patterns.get(get_pattern_key(list(patterns), name), usual))
    except (AttributeError, TypeError, ValueError, re.error) as error:
        raise Misfit("its metadata has an alpha that is not a number") from error
    return chosen / (math.sqrt(rank) if settings.get("use_rslora") else rank)
