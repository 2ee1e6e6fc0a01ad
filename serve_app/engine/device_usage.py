"""How much memory an editor's device has, and what of it is in use."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import torch


@dataclass(frozen=True, slots=True)
class DeviceUsage:
    """Bytes of a device of this kind, such as ``cuda``.

    ``allocated_bytes`` are held by tensors; ``reserved_bytes`` also have what torch keeps to
    allocate from. Without a GPU both are what the process holds, and ``total_bytes`` is the
    machine's.
    """

    device: str
    allocated_bytes: int
    reserved_bytes: int
    total_bytes: int


def device_usage(device: torch.device) -> DeviceUsage:
    """Read the memory of ``device`` now; takes microseconds and doesn't wait for its work."""
    if device.type == "cuda":
        return DeviceUsage(
            device.type,
            torch.cuda.memory_allocated(device),
            torch.cuda.memory_reserved(device),
            torch.cuda.mem_get_info(device)[1],
        )
    resident = psutil.Process().memory_info().rss
    return DeviceUsage(device.type, resident, resident, psutil.virtual_memory().total)
