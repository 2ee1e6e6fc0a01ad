"""Few-step operation: a distilled adapter (Lightning) in the transformer's weights or beside them.

Fused, all edits are few-step ones. Kept beside the weights, it makes drafts: both kinds of edit run
side by side on one transformer, and full ones are bit for bit what they are without it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError

from serve_app.config import FewStepConfig
from serve_app.engine.adapter_file import Misfit
from serve_app.engine.adapters import Adapters
from serve_app.engine.miniature.pretrained import FEW_STEP, MINIATURE
from serve_app.errors import ConfigurationError

# Published with the adapters (github.com/ModelTC/Qwen-Image-Lightning, README): they were
# distilled with a shift of 3 at every size, sigma' = 3 sigma / (1 + 2 sigma).
LIGHTNING_SCHEDULER = {
    "base_image_seq_len": 256,
    "base_shift": math.log(3),
    "invert_sigmas": False,
    "max_image_seq_len": 8192,
    "max_shift": math.log(3),
    "num_train_timesteps": 1000,
    "shift": 1.0,
    "shift_terminal": None,
    "stochastic_sampling": False,
    "time_shift_type": "exponential",
    "use_beta_sigmas": False,
    "use_dynamic_shifting": True,
    "use_exponential_sigmas": False,
    "use_karras_sigmas": False,
}
_PARAM = "model.few_step.adapter"
_NAME = "few_step"
_MISSING = "`model.few_step.adapter` is a file that is not there."
_MISFIT = (
    "`model.few_step.adapter` is not a safetensors file with a LoRA of this model's transformer."
)

logger = logging.getLogger(__name__)


def adapter_file(config: FewStepConfig) -> Path:
    """The adapter's file: the one that is named, or the miniature's own."""
    if str(config.adapter) == MINIATURE:
        return FEW_STEP
    return config.adapter.expanduser()


def fuse_few_step(pipeline: Any, config: FewStepConfig) -> None:
    """Add the adapter to the transformer's weights and set the scheduler it was made for.

    Fused, it costs nothing per step and leaves the transformer plain, so that requests may
    bring adapters of their own. The weights must not be quantized yet. Raises
    ``ConfigurationError`` if the file is missing, broken, or made for another model.
    """
    file = adapter_file(config)
    if not file.is_file():
        raise ConfigurationError(_MISSING, _PARAM)
    # By name, not by content: alpha may be in the file's header, which diffusers reads.
    place = {"weight_name": file.name, "use_safetensors": True, "local_files_only": True}
    try:
        weights = pipeline.lora_state_dict(str(file.parent), **place)
        pipeline.load_lora_weights(str(file.parent), adapter_name=_NAME, **place)
        _require_all_used(pipeline.transformer, weights)
        pipeline.fuse_lora(
            components=["transformer"], lora_scale=config.scale, adapter_names=[_NAME]
        )
        pipeline.unload_lora_weights()
    # What diffusers and peft raise for what doesn't fit differs by the file.
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ConfigurationError(_MISFIT, _PARAM) from error
    pipeline.scheduler = few_step_scheduler(pipeline, config)


def keep_for_drafts(adapters: Adapters, config: FewStepConfig) -> None:
    """Inject the adapter beside the weights, off until a draft runs.

    They may have any number format. Raises ``ConfigurationError`` if the file is missing,
    broken, or made for another model.
    """
    file = adapter_file(config)
    if not file.is_file():
        raise ConfigurationError(_MISSING, _PARAM)
    try:
        nbytes = adapters.keep_few_step(file.read_bytes(), config.scale)
    except (Misfit, SafetensorError, OSError) as error:
        logger.warning("the few-step adapter can't be used: %s", error)
        raise ConfigurationError(_MISFIT, _PARAM) from error
    logger.info("drafts in %d steps, with an adapter of %d bytes", config.steps, nbytes)


def few_step_scheduler(pipeline: Any, config: FewStepConfig) -> Any:
    """The scheduler of few-step edits: the adapter's, or still the checkpoint's."""
    if config.scheduler == "checkpoint":
        return pipeline.scheduler
    return FlowMatchEulerDiscreteScheduler.from_config(LIGHTNING_SCHEDULER)


def _require_all_used(transformer: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise ``ValueError`` if a layer or half of its adapter is missing.

    diffusers only warns, and applies the rest.
    """
    found = [name for name, it in transformer.named_modules() if isinstance(it, LoraLayer)]
    expected = {f"{name}.lora_{part}.weight" for name in found for part in "AB"}
    if {key.removeprefix("transformer.") for key in weights} != expected:
        raise ValueError("the layers of the file and of the transformer differ")
