"""Loads the transformer with weights of fewer bits: torchao int8 and float8, or a GGUF file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import GGUFQuantizationConfig, QwenImageTransformer2DModel, TorchAoConfig

from serve_app.config import MemoryConfig
from serve_app.errors import ConfigurationError

Kind = Literal["int8", "float8"]
_GGUF = "model.memory.gguf"


def load_reduced_transformer(
    source: str, revision: str | None, dtype: torch.dtype, memory: MemoryConfig
) -> Any:
    """Load the transformer of ``source`` as ``memory`` asks, computing in ``dtype``.

    Raises ``ConfigurationError`` if torchao or gguf is not installed, or if the GGUF file is
    missing, broken or another model's.
    """
    if memory.gguf is not None:
        return _from_gguf(source, revision, dtype, memory.gguf)
    if memory.quantization == "none":
        raise ValueError("nothing to reduce")
    return QwenImageTransformer2DModel.from_pretrained(
        source,
        subfolder="transformer",
        revision=revision,
        dtype=dtype,
        use_safetensors=True,
        quantization_config=torchao_config(memory.quantization),
    )


def torchao_config(kind: Kind) -> TorchAoConfig:
    """Weight-only quantization of every linear layer, one scale for each row of a weight.

    Raises ``ConfigurationError`` if torchao is not installed.
    """
    _require("torchao", "model.memory.quantization")
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig

    return TorchAoConfig(Int8WeightOnlyConfig() if kind == "int8" else Float8WeightOnlyConfig())


def quantize(transformer: Any, kind: Kind) -> None:
    """Quantize a loaded transformer in place: the same weights as loading it quantized.

    For weights that change after loading, as a fused adapter changes them: into quantized
    weights nothing can be fused without another rounding. Raises ``ConfigurationError`` if
    torchao is not installed.
    """
    config = torchao_config(kind)
    from torchao.quantization import quantize_

    quantize_(transformer, config.get_apply_tensor_subclass())


def _from_gguf(source: str, revision: str | None, dtype: torch.dtype, file: Path) -> Any:
    _require("gguf", _GGUF)
    if not file.expanduser().is_file():
        raise ConfigurationError("`model.memory.gguf` is a file that is not there.", _GGUF)
    try:
        return QwenImageTransformer2DModel.from_single_file(
            str(file.expanduser()),
            config=source,
            subfolder="transformer",
            config_revision=revision,
            dtype=dtype,
            quantization_config=GGUFQuantizationConfig(compute_dtype=dtype),
        )
    except (ValueError, RuntimeError, OSError, KeyError) as error:
        raise ConfigurationError(
            "`model.memory.gguf` is not a GGUF file of this model's transformer.", _GGUF
        ) from error


def _require(package: str, param: str) -> None:
    if find_spec(package) is None:
        raise ConfigurationError(
            f"`{param}` needs {package}, which is not installed: "
            'pip install "qwen-edit-serve[quantized]".',
            param,
        )
