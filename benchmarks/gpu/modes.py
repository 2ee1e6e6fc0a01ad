"""Ways to run the blocks: attention kernels, compiled, float8; speed, memory and error."""

from __future__ import annotations

import statistics
from typing import Any

import torch

from benchmarks.gpu.acceleration import NATIVE, Acceleration
from benchmarks.gpu.bench import Bench, Part, Unavailable, step_row
from benchmarks.gpu.steps import STEPS, timed_steps
from benchmarks.gpu.workload import Edit, random_state


def modes(bench: Bench, part: Part) -> None:
    """An unguided step, batch 1. What changes the weights comes last, on a new transformer."""
    wanted, trial = bench.options.modes, _Trial(bench, part)
    if "eager" in wanted:
        trial.run()
    if "attention" in wanted:
        for backend in _attention_backends(bench):
            trial.run(backend)
    if "compiled" in wanted:
        for backend in dict.fromkeys((NATIVE, *_fast_backends(bench), bench.options.attention)):
            trial.run(backend, compiled=True)
    if "compiled_dynamic" in wanted:
        trial.run(compiled=True, dynamic=True)
    for name, compiled in (("float8_storage", False), ("float8_dynamic", True)):
        if name in wanted:
            try:
                trial.run(bench.options.attention, compiled=compiled, weights=name)
            finally:
                bench.drop_transformer()


class _Trial:
    """Measures one mode after the other, each against the first."""

    def __init__(self, bench: Bench, part: Part) -> None:
        self._bench, self._part = bench, part
        self._edit = Edit(bench.size.side, STEPS)
        self._first: tuple[str, float, torch.Tensor] | None = None

    def run(
        self,
        attention: str = NATIVE,
        *,
        compiled: bool = False,
        dynamic: bool = False,
        weights: str = "",
    ) -> None:
        """Add the row of one mode; ``weights`` names what is done to them before."""
        bench = self._bench
        compiler = bench.size.compiler if compiled else None
        mode = bench.options.compile_mode if compiled else None
        way = Acceleration(bench.transformer(), attention, compiler, mode, dynamic)
        name = f"{weights.replace('_', ' ')}, {way.name}" if weights else way.name
        with self._part.row(name):
            _check_backend(way)
            if weights:
                _CHANGES[weights](bench, way.transformer)
                bench.device.free()
            self._measure(name, way)

    def _measure(self, name: str, way: Acceleration) -> None:
        bench = self._bench
        latents: list[torch.Tensor] = []
        # Made anew, since a pipeline keeps its transformer, which may be dropped after this.
        pipeline = bench.pipeline(encoders=False)

        def measure() -> float:
            state = random_state(pipeline, self._edit, bench.size.text_lengths)
            seconds = timed_steps(bench, way, [state])
            latents[:] = [state.latents]
            return seconds

        bench.deadline.require(0.0)
        first_s = measure() * STEPS
        seconds = bench.measured(measure, bench.options.repeats + 1)
        median = statistics.median(seconds)
        self._first = self._first or (name, median, latents[0])
        against, against_s, reference = self._first
        difference = float(
            torch.linalg.norm(latents[0].float() - reference.float())
            / torch.linalg.norm(reference.float())
        )
        extra_s = first_s - median * STEPS
        row = step_row(
            name,
            seconds,
            bench.floor_s(self._edit.side, bench.size.text_lengths[:1]),
            times_as_fast=against_s / median,
            against=against,
            note=f"latents differ by {difference:.2g} (relative) from {against}; "
            f"the first run took {extra_s:.1f} s longer",
            details={
                # Compiling, or choosing kernels.
                "first_run_extra_s": extra_s,
                "latents_relative_difference": difference,
                "models_gb": bench.device.allocated_gb(),
            },
        )
        self._part.add(row)


def _attention_backends(bench: Bench) -> tuple[str, ...]:
    """Kernels by diffusers' names that need no download; some need a package."""
    if not bench.device.cuda:
        return ("_native_math",)
    return ("_native_cudnn", "_native_efficient", "_native_flash", "_flash_3", "flash", "sage")


def _fast_backends(bench: Bench) -> tuple[str, ...]:
    return ("_native_cudnn",) if bench.device.cuda else ()


def _check_backend(way: Acceleration) -> None:
    """Raise ``Unavailable`` if diffusers refuses the attention: a package is missing."""
    plain = Acceleration(way.transformer, way.attention)
    try:
        with plain.applied():
            pass
    except (RuntimeError, ValueError, ImportError) as error:
        raise Unavailable(str(error).splitlines()[0]) from error


def _float8_storage(bench: Bench, transformer: Any) -> None:
    """Keep the weights in float8 and cast each layer's to the model's type as it runs."""
    transformer.enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=bench.size.dtype
    )


def _float8_dynamic(bench: Bench, transformer: Any) -> None:
    """Multiply the blocks' large products in float8, a scale per row, quantized as they run."""
    if not bench.device.cuda:
        raise Unavailable("float8 products need a CUDA device")
    try:
        from torchao.quantization import (
            Float8DynamicActivationFloat8WeightConfig,
            PerRow,
            quantize_,
        )
    except ImportError as error:
        raise Unavailable("torchao is not installed, or not for this torch") from error

    def large(module: torch.nn.Module, name: str) -> bool:
        return isinstance(module, torch.nn.Linear) and (".attn." in name or "_mlp." in name)

    quantize_(
        transformer.transformer_blocks,
        Float8DynamicActivationFloat8WeightConfig(granularity=PerRow()),
        filter_fn=large,
    )


_CHANGES = {"float8_storage": _float8_storage, "float8_dynamic": _float8_dynamic}
