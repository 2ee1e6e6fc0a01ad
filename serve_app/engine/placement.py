"""Puts a loaded pipeline on the device in the configured memory mode."""

from __future__ import annotations

from typing import Any

import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from diffusers.hooks import apply_group_offloading

from serve_app.config import MemoryConfig


def place(pipeline: Any, memory: MemoryConfig, device: torch.device, dtype: torch.dtype) -> None:
    """Move ``pipeline`` to ``device``, or leave parts of it behind as ``memory`` says.

    Afterwards ``pipeline._execution_device`` is ``device`` in every mode. ``dtype`` is what
    the transformer computes in, whatever its weights are held as.
    """
    if memory.vae_tiling:
        pipeline.vae.enable_tiling()
    if memory.vae_slicing:
        pipeline.vae.enable_slicing()
    if memory.float8_storage:
        pipeline.transformer.enable_layerwise_casting(
            storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype
        )
    match memory.offload:
        case "none":
            pipeline.to(device)
        case "model":
            _take_turns(pipeline, device)
        case "group":
            _offload_groups(pipeline, device)


class _Executed(ModelHook):
    """Tells ``pipeline._execution_device`` where a component runs, wherever it is now."""

    def __init__(self, device: torch.device) -> None:
        self.execution_device = device


class _Turns:
    """Components of which one at a time is on the device."""

    def __init__(self, device: torch.device, components: list[Any]) -> None:
        self._device = device
        self._components = components
        self._present: Any = None

    def bring(self, component: Any) -> None:
        # Asking each of thousands of tensors where it is would take milliseconds per step.
        if component is self._present:
            return
        self._present = None  # until it is all there: the device may run out of memory
        for other in self._components:
            if other is not component:
                other.to("cpu")
        component.to(self._device)
        self._present = component


class _Turn(_Executed):
    """Brings its component to the device before it runs."""

    def __init__(self, device: torch.device, turns: _Turns) -> None:
        super().__init__(device)
        self._turns = turns

    def pre_forward(self, module: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        self._turns.bring(module)
        return args, kwargs


def _take_turns(pipeline: Any, device: torch.device) -> None:
    """Let the text encoder and the transformer run on the device by turns.

    Stock ``enable_model_cpu_offload`` moves each model out when the *next* one of a fixed
    order comes, and all at the end of a call. Here a new request is encoded between two
    steps of another, so the order changes: both models would meet on the device. It also
    refuses a CPU, where nothing has to move; these hooks run there too. The VAE, 0.25 GB
    of 58, stays: previews would otherwise send the transformer away.
    """
    components = [pipeline.text_encoder, pipeline.transformer]
    turns = _Turns(device, components)
    for component in components:
        add_hook_to_module(component.to("cpu"), _Turn(device, turns))
    add_hook_to_module(pipeline.vae.to(device), _Executed(device))


def _offload_groups(pipeline: Any, device: torch.device) -> None:
    """Bring the transformer's blocks and the text encoder's layers one after another.

    With a stream the next block comes while one computes, out of pinned memory: as many
    bytes of it as the two models have. A CPU has no streams, and no need of them.
    """
    streams = device.type == "cuda"
    options = {
        "onload_device": device,
        "offload_device": torch.device("cpu"),
        "use_stream": streams,
        "record_stream": streams,
        "non_blocking": streams,
    }
    pipeline.transformer.enable_group_offload(
        offload_type="block_level", num_blocks_per_group=1, **options
    )
    # Blocks are looked for among a module's own children; the text encoder's are deeper.
    apply_group_offloading(pipeline.text_encoder, offload_type="leaf_level", **options)
    pipeline.vae.to(device)
