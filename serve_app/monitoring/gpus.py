"""What the GPUs of this machine are at, as NVIDIA's driver says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pynvml

MOST_GPUS = 64
"""As many as are read at most; machines have up to 16."""


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU now; ``None`` is what its driver does not say.

    ``load_percent`` is the share of time in which a kernel ran, 0 to 100; memory is in bytes.
    """

    index: int
    name: str
    load_percent: float | None
    memory_used_bytes: float | None
    memory_total_bytes: float | None
    temperature_c: float | None


class GpuReader:
    """Reads through ``nvml``, the module ``pynvml``; without GPUs or a driver there are none.

    GPUs that a process can't use (``CUDA_VISIBLE_DEVICES``) are read as well.
    """

    def __init__(self, nvml: Any = pynvml) -> None:
        self._nvml = nvml
        self._there = self._asked(nvml.nvmlInit) is not _NOTHING

    def read(self) -> tuple[GpuReading, ...]:
        """All GPUs by their index. Never raises: one that can't be read is left out."""
        if not self._there:
            return ()
        count = self._asked(self._nvml.nvmlDeviceGetCount)
        if count is _NOTHING:
            return ()
        readings = (self._read(index) for index in range(min(count, MOST_GPUS)))
        return tuple(reading for reading in readings if reading is not None)

    def close(self) -> None:
        """Let the driver go."""
        if self._there:
            self._there = False
            self._asked(self._nvml.nvmlShutdown)

    def _read(self, index: int) -> GpuReading | None:
        nvml = self._nvml
        gpu = self._asked(lambda: nvml.nvmlDeviceGetHandleByIndex(index))
        if gpu is _NOTHING:
            return None
        memory = self._asked(lambda: nvml.nvmlDeviceGetMemoryInfo(gpu))
        known = memory is not _NOTHING
        return GpuReading(
            index=index,
            name=self._name(gpu),
            load_percent=self._figure(lambda: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu),
            memory_used_bytes=float(memory.used) if known else None,
            memory_total_bytes=float(memory.total) if known else None,
            temperature_c=self._figure(
                lambda: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)
            ),
        )

    def _name(self, gpu: Any) -> str:
        name = self._asked(lambda: self._nvml.nvmlDeviceGetName(gpu))
        # Older releases of the library answer with bytes.
        return name.decode() if isinstance(name, bytes) else name if isinstance(name, str) else ""

    def _figure(self, question: Callable[[], Any]) -> float | None:
        answer = self._asked(question)
        return None if answer is _NOTHING else float(answer)

    def _asked(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except self._nvml.NVMLError:
            return _NOTHING


_NOTHING = object()
"""The driver's answer where it has none; ``None`` is what its procedures return."""
