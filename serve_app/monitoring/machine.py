"""What the machine that the monitor runs on is at: CPU, memory, GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from serve_app.monitoring.gpus import GpuReader, GpuReading

_SHORTEST_CPU_S = 0.5
"""Time of all cores that a load is read from at least: the system counts in steps of 10 ms."""


@dataclass(frozen=True, slots=True)
class MachineReading:
    """One moment; memory in bytes.

    ``cpu_percent`` (0 to 100, of all cores) is over the time since the reading before; the first
    one has none.
    ``service_memory_bytes`` is what the service's processes on this machine hold, where memory
    that several share counts for each of them.
    """

    cpu_percent: float | None
    memory_used_bytes: float
    memory_total_bytes: float
    memory_percent: float
    service_memory_bytes: float
    gpus: tuple[GpuReading, ...]


class Machine:
    """Reads without waiting, in a few milliseconds.

    ``replicas`` begins the command line of the service's processes, which have the same parent
    as this one; by default this process is all of it.
    """

    def __init__(self, gpus: GpuReader, replicas: str | None = None) -> None:
        self._gpus = gpus
        self._replicas = replicas
        self._cpu = _cpu_seconds()
        self._cpu_percent: float | None = None

    def read(self) -> MachineReading:
        """Read everything now."""
        memory = psutil.virtual_memory()
        return MachineReading(
            cpu_percent=self._busy(),
            memory_used_bytes=float(memory.total - memory.available),
            memory_total_bytes=float(memory.total),
            memory_percent=float(memory.percent),
            service_memory_bytes=float(sum(self._resident())),
            gpus=self._gpus.read(),
        )

    def close(self) -> None:
        """Let the driver of the GPUs go."""
        self._gpus.close()

    def _busy(self) -> float | None:
        # Not psutil.cpu_percent(), which remembers a reading of its own for every thread.
        (busy_before, all_before), (busy, everything) = self._cpu, _cpu_seconds()
        if everything - all_before >= _SHORTEST_CPU_S:
            share = (busy - busy_before) / (everything - all_before)
            self._cpu_percent = 100.0 * min(1.0, max(0.0, share))
            self._cpu = busy, everything
        return self._cpu_percent

    def _resident(self) -> Iterator[int]:
        this = psutil.Process()
        if self._replicas is None:
            yield this.memory_info().rss
            return
        parent = this.parent()
        for process in () if parent is None else parent.children():
            try:
                if process.cmdline()[:1] and process.cmdline()[0].startswith(self._replicas):
                    yield process.memory_info().rss
            except psutil.Error:
                continue  # it has just ended


def _cpu_seconds() -> tuple[float, float]:
    """Seconds that all cores were busy, and that have passed for all of them."""
    times = psutil.cpu_times()
    # Linux counts the time of guests in that of users, too.
    everything = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return everything - times.idle - getattr(times, "iowait", 0.0), everything
