"""What memory modes and speed options hold, cost and change: `python -m benchmarks.memory_modes`.

All on the tiny untrained miniature, beside everything on the device in float32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.apart import Apart
from benchmarks.gguf_file import write_gguf
from benchmarks.interleave import interleaved, median_ratio, summary
from benchmarks.report import REPOSITORY, Figure, Target, publish, wide_console
from benchmarks.serving import editor_threads
from benchmarks.sides import Edit, EngineSide
from benchmarks.tiny import tiny_model
from serve_app.config import AccelerationConfig, MemoryConfig, ModelConfig
from serve_app.engine.acceleration import accelerate_transformer
from serve_app.images.pixels import RGB
from serve_app.serve_config import check

STEPS = 8
REPEATS = 7
GGUF = "transformer.gguf"
FLOAT_ERROR = 1e-4
"""What reordered sums may change in float32 over a whole edit; latents are about 5."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A way of holding or running the weights; ``exact`` ones may not change a result."""

    name: str
    memory: dict[str, Any] = field(default_factory=dict)
    acceleration: dict[str, Any] = field(default_factory=dict)
    side: int = 128
    exact: bool = False


MODES = (
    Mode("model offload", {"offload": "model"}, exact=True),
    Mode("group offload", {"offload": "group"}, exact=True),
    Mode("float8 storage", {"float8_storage": True}),
    Mode("int8", {"quantization": "int8"}),
    Mode("float8", {"quantization": "float8"}),
    Mode("GGUF Q8_0", {"gguf": GGUF}),
    Mode("int8, model offload", {"quantization": "int8", "offload": "model"}),
    Mode("float8 storage, group offload", {"float8_storage": True, "offload": "group"}),
    # Tiles are 256 pixels: smaller canvases are one.
    Mode("VAE tiling and slicing, 320x320", {"vae_tiling": True, "vae_slicing": True}, side=320),
    Mode("attention _native_math", acceleration={"attention": "_native_math"}, exact=True),
    Mode("compile", acceleration={"compile": True}, exact=True),
)


class ModeSide(EngineSide):
    """The engine in one mode."""

    def __init__(self, model: ModelConfig, acceleration: AccelerationConfig) -> None:
        super().__init__(model, 1)
        accelerate_transformer(self._checkpoint.pipeline, acceleration)

    def weights(self) -> dict[str, int]:
        """Bytes of the parameters and buffers of each component, wherever they are."""
        components = self._checkpoint.pipeline.components.items()
        return {
            name: sum(_held(component))
            for name, component in components
            if isinstance(component, torch.nn.Module)
        }


def _held(module: torch.nn.Module) -> Iterator[int]:
    for tensor in (*module.parameters(), *module.buffers()):
        # A quantized weight says it is float and holds its numbers and scales inside.
        parts = [getattr(tensor, name) for name in getattr(tensor, "tensor_data_names", [])]
        yield sum(part.untyped_storage().nbytes() for part in parts or [tensor])


def main() -> None:
    console = wide_console()
    config = check(REPOSITORY / "configs" / "local.yaml")[0]
    threads = editor_threads(config)
    figures: list[Figure] = []
    details: dict[str, Any] = {"steps": STEPS, "torch_threads": threads}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = tiny_model(folder)
        quantized = write_gguf(Path(model.checkpoint) / "transformer", folder / GGUF)
        details["gguf_weights_in_q8_0"] = quantized
        for side in sorted({mode.side for mode in MODES}):
            sized = model.model_copy(update={"vae_area": side**2})
            with Apart(threads, ModeSide, sized, AccelerationConfig()) as plain:
                details["everything on the device"] = {"weights_bytes": plain.call("weights")}
                for mode in MODES:
                    if mode.side == side:
                        console.print(f"{mode.name} …")
                        with Apart(threads, ModeSide, *_settings(mode, sized, folder)) as other:
                            details[mode.name] = _compare(mode, plain, other, figures)
                            other.call("close")
                plain.call("close")
    publish(console, "memory_modes", figures, details)


def _settings(
    mode: Mode, model: ModelConfig, folder: Path
) -> tuple[ModelConfig, AccelerationConfig]:
    memory = dict(mode.memory)
    if "gguf" in memory:
        memory["gguf"] = folder / memory["gguf"]
    changed = model.model_copy(update={"memory": MemoryConfig.model_validate(memory)})
    return changed, AccelerationConfig.model_validate(mode.acceleration)


def _compare(mode: Mode, plain: Apart, other: Apart, figures: list[Figure]) -> dict[str, Any]:
    edit = Edit("make it a watercolour", STEPS, 4.0, 0, mode.side)
    (_, expected), (_, got) = plain.call("denoise", [edit]), other.call("denoise", [edit])
    latents = float(np.abs(got[0] - expected[0]).max())
    (_, wanted), (_, pixels) = plain.call("edit", edit), other.call("edit", edit)
    levels, psnr = _difference(pixels, wanted)
    seconds = interleaved(
        {
            "plain": lambda _: float(plain.call("denoise", [edit])[0]) / STEPS,
            "mode": lambda _: float(other.call("denoise", [edit])[0]) / STEPS,
        },
        REPEATS,
    )
    held, before = other.call("weights"), plain.call("weights")
    likeness = "same pixels" if psnr is None else f"PSNR {psnr:.1f} dB"
    figures += [
        Figure(
            f"{mode.name}: transformer's weights",
            held["transformer"] / before["transformer"],
            "x bytes",
            None,
            f"everything on the device in float32, {before['transformer']} bytes",
        ),
        Figure(
            f"{mode.name}: largest difference of latents",
            latents,
            "",
            Target(FLOAT_ERROR) if mode.exact else None,
            f"everything on the device; pixels differ by {levels} of 255 at most, {likeness}",
        ),
        Figure(
            f"{mode.name}: time of a step",
            median_ratio(seconds["mode"], seconds["plain"]),
            "x",
            None,
            "everything on the device",
        ),
    ]
    return {
        "weights_bytes": held,
        "latents_max_difference": latents,
        "latents_magnitude": float(np.abs(expected[0]).max()),
        "pixels_max_difference": levels,
        "psnr_db": psnr,
        "step": {name: summary(each) for name, each in seconds.items()},
    }


def _difference(one: RGB, other: RGB) -> tuple[int, float | None]:
    """Largest difference in levels, and PSNR in dB; no PSNR if there is none."""
    apart = one.astype(float) - other.astype(float)
    error = float((apart**2).mean())
    return int(np.abs(apart).max()), 10 * float(np.log10(255**2 / error)) if error else None


if __name__ == "__main__":
    main()
