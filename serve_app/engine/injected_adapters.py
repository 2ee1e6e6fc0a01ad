"""Adapters on the transformer: injected through diffusers and peft, selected for each step.

Switching between them changes one list that all layers share, and one number per layer if the
scale differs: 0.15 and 0.7 ms for the full model's 720 layers on one CPU core. Injection walks
every module several times in Python, 0.05 s on the miniature and 2 to 4 s for 720 layers, once
per adapter until it is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from peft.tuners.lora import LoraLayer

from serve_app.engine.adapter_file import LowRank


class InjectedAdapters:
    """The adapters on one pipeline's transformer; belongs to the device thread.

    ``key`` is an adapter's name for peft, where dots would be paths.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        # peft would do so at the first injection; nothing is trained here.
        pipeline.transformer.requires_grad_(False)
        self._selected: list[str] = []
        self._layers: dict[str, LoraLayer] = {}
        self._strengths: dict[str, dict[str, float]] = {}
        self._scales: dict[str, float] = {}

    def inject(self, key: str, layers: Mapping[str, LowRank]) -> int:
        """Add an adapter, not selected yet; returns its bytes on the device."""
        state: dict[str, torch.Tensor] = {}
        for name, low_rank in layers.items():
            state[f"transformer.{name}.lora_A.weight"] = low_rank.down
            state[f"transformer.{name}.lora_B.weight"] = low_rank.up
        self._pipeline.load_lora_weights(state, adapter_name=key, low_cpu_mem_usage=True)
        self._strengths[key] = {name: low_rank.strength for name, low_rank in layers.items()}
        self._share_selection()
        self._restore_precision(key, layers)
        return self._bytes_of(key)

    def _restore_precision(self, key: str, layers: Mapping[str, LowRank]) -> None:
        """Put weights back that peft rounded to the dtype of the base weight, such as float8."""
        rounded = False
        for name, low_rank in layers.items():
            layer = self._layers[name]
            pairs = ((layer.lora_A[key], low_rank.down), (layer.lora_B[key], low_rank.up))
            for module, exact in pairs:
                weight = module.get_parameter("weight")
                if weight.dtype != exact.dtype:
                    weight.data = exact.to(weight.device)
                    rounded = True
        if rounded:
            # Deletes nothing, but has group offloading take up the new weights.
            self._pipeline.transformer.delete_adapters([])

    def remove(self, key: str) -> None:
        """Delete an adapter, and the wrappers of layers that have no other."""
        transformer = self._pipeline.transformer
        for name, layer in _lora_layers(transformer).items():
            layer.delete_adapter(key)
            if not layer.lora_A:
                parent, _, child = name.rpartition(".")
                setattr(transformer.get_submodule(parent), child, layer.get_base_layer())
        # Forgets its settings, and lays out group offloading anew.
        transformer.delete_adapters(key)
        self._strengths.pop(key, None)
        self._scales.pop(key, None)
        self._share_selection()

    def set_scale(self, key: str, scale: float) -> None:
        """Let an adapter change its layers ``scale`` times as much as its file says."""
        if self._scales.get(key) == scale:
            return
        for name, strength in self._strengths[key].items():
            self._layers[name].set_scale(key, scale * strength)
        self._scales[key] = scale

    def select(self, keys: list[str]) -> None:
        """Let every layer apply these adapters.

        ``LoraLayer.set_adapter`` keeps the list that it is given and walks all parameters to
        set ``requires_grad``: 100 ms for 720 layers. So all layers share one list, which
        changes in place; a layer that doesn't have it is told.
        """
        self._selected[:] = keys
        for layer in self._layers.values():
            if layer.active_adapter is not self._selected:
                layer.set_adapter(self._selected, inference_mode=True)

    def _share_selection(self) -> None:
        """Find the layers again: peft adds some, and selects adapters of its own choice."""
        self._layers = _lora_layers(self._pipeline.transformer)
        for layer in self._layers.values():
            layer.set_adapter(self._selected, inference_mode=True)

    def _bytes_of(self, key: str) -> int:
        modules = (
            module[key]
            for name in self._strengths[key]
            for module in (self._layers[name].lora_A, self._layers[name].lora_B)
        )
        return sum(tensor.nbytes for module in modules for tensor in module.parameters())


def _lora_layers(transformer: torch.nn.Module) -> dict[str, LoraLayer]:
    modules = transformer.named_modules()
    return {name: module for name, module in modules if isinstance(module, LoraLayer)}
