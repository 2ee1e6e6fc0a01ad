"""Writes a transformer's weights as one GGUF file, as published conversions have it."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from gguf.quants import quantize
from safetensors.torch import load_file

_BLOCK = 32
"""Weights that share a scale in Q8_0, along the input dimension."""


def write_gguf(transformer: Path, file: Path) -> int:
    """Convert the folder of a saved transformer to Q8_0; returns how many weights are in it.

    Matrices whose rows are no multiple of a block stay float16, everything else float32.
    """
    writer = gguf.GGUFWriter(file, "qwen_image")
    quantized = 0
    for shard in sorted(transformer.glob("*.safetensors")):
        for name, tensor in load_file(shard).items():
            values = tensor.float().numpy()
            if values.ndim == 2 and values.shape[1] % _BLOCK == 0:
                kind = gguf.GGMLQuantizationType.Q8_0
                writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
                quantized += values.size
            else:
                writer.add_tensor(name, values.astype(np.float16) if values.ndim == 2 else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return quantized
