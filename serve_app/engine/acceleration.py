"""Speed options of the transformer: regional compilation and the attention backend."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

from serve_app.config import AccelerationConfig
from serve_app.errors import ConfigurationError

_GRAPHS = 64
# Without those that fetch their code from the hub, unpinned, when they are chosen.
_BACKENDS = tuple(
    backend.value for backend in AttentionBackendName if not backend.value.endswith("_hub")
)


def accelerate_transformer(pipeline: Any, config: AccelerationConfig) -> None:
    """Apply ``config`` to a placed pipeline's transformer; call it once, before warm-up.

    Raises ``ConfigurationError`` for an attention backend that this install or device lacks,
    and for ``compile`` with weights that come and go within a forward.
    """
    transformer, device = pipeline.transformer, torch.device(pipeline._execution_device)
    if config.attention is not None:
        _require_backend(config.attention, device, _compute_dtype(pipeline))
        transformer.set_attention_backend(config.attention)
    if config.compile:
        _compile_blocks(transformer)


def warm_up_canvases(config: AccelerationConfig) -> list[tuple[int, int]]:
    """The (width, height) of every configured warm-up size, pixels, in their order."""
    return [
        (int(width), int(height))
        for width, _, height in (size.partition("x") for size in config.warm_up_sizes)
    ]


def _compile_blocks(transformer: Any) -> None:
    """Compile the repeated block once for all sizes, prompt lengths and batches.

    With static shapes each new prompt length would compile again, for a minute. What still
    gets graphs of its own: the first block and the others, one row and several, prompts of
    one length and of several; six in all, measured. Passing the limit, eight by default, is
    an error with ``fullgraph``, in the middle of an edit.
    """
    if any(hasattr(module, "_diffusers_hook") for module in transformer.modules()):
        raise ConfigurationError(
            "`engine.acceleration.compile` works with `model.memory.offload` none or model, and "
            "without `float8_storage`: the others move or cast weights inside the blocks.",
            "engine.acceleration.compile",
        )
    # The limit is given here because torch's setting of that name belongs to one thread.
    transformer.compile_repeated_blocks(fullgraph=True, dynamic=True, recompile_limit=_GRAPHS)


def _compute_dtype(pipeline: Any) -> torch.dtype:
    """Latents have the text encoder's number format; the transformer's may be quantized."""
    dtype: torch.dtype = pipeline.text_encoder.dtype
    return dtype


def _require_backend(name: str, device: torch.device, dtype: torch.dtype) -> None:
    # Fast where it works, which is nearly always; the others are tried for the message only.
    if name in _BACKENDS and _works(name, device, dtype):
        return
    usable = ", ".join(each for each in _BACKENDS if _works(each, device, dtype))
    raise ConfigurationError(
        f"`engine.acceleration.attention`: `{name}` does not work on this install and device. "
        f"These do: {usable}.",
        "engine.acceleration.attention",
    )


def _works(name: str, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a small attention runs. None needs a mask: see ``RowAttention``."""
    query = torch.zeros(2, 32, 1, 64, device=device, dtype=dtype)
    try:
        dispatch_attention_fn(query, query, query, backend=AttentionBackendName(name))
    except Exception:  # noqa: BLE001 - backends of a dozen libraries raise whatever they like
        return False
    return True
