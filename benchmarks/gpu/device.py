"""The device's clock and memory, and the time that a run has."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Device:
    """A CUDA device, or the CPU, which has no queue to wait for and no memory to count."""

    def __init__(self, name: str) -> None:
        self.torch = torch.device(name)
        self.cuda = self.torch.type == "cuda"

    def synchronize(self) -> None:
        """Wait until the device has done what it was given."""
        if self.cuda:
            torch.cuda.synchronize(self.torch)

    def now(self) -> float:
        """Seconds on a steady clock, once the device is idle."""
        self.synchronize()
        return time.perf_counter()

    def free(self) -> None:
        """Give back what nothing refers to, and forget the peak."""
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()
        self.forget_peak()

    def forget_peak(self) -> None:
        """Let ``peak_gb`` be about what follows."""
        if self.cuda:
            torch.cuda.reset_peak_memory_stats(self.torch)

    def peak_gb(self) -> float | None:
        """The most that tensors took since it was forgotten, 1e9 bytes; ``None`` on a CPU."""
        return torch.cuda.max_memory_allocated(self.torch) / 1e9 if self.cuda else None

    def allocated_gb(self) -> float | None:
        """The memory (1e9 bytes) that tensors take now; ``None`` on a CPU."""
        return torch.cuda.memory_allocated(self.torch) / 1e9 if self.cuda else None


class Stages:
    """Seconds of the stages of one edit; each begins and ends with an idle device."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = self._device.now()
        yield
        self.add(name, self._device.now() - started)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds


class TimeIsUp(Exception):
    """What comes next would not end within the run's time."""


class Deadline:
    """The run's time, ``budget_s`` seconds from now."""

    def __init__(self, budget_s: float) -> None:
        self._end = time.monotonic() + budget_s

    def remaining_s(self) -> float:
        return self._end - time.monotonic()

    def require(self, seconds: float) -> None:
        """Raise ``TimeIsUp`` unless ``seconds`` more are left."""
        if self.remaining_s() < seconds:
            raise TimeIsUp(f"{seconds:.0f} s needed, {max(0.0, self.remaining_s()):.0f} s left")
