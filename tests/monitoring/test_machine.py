"""Reading this machine."""

from __future__ import annotations

import psutil
import pytest

from serve_app.monitoring.gpus import GpuReader
from serve_app.monitoring.machine import Machine


def test_figures_are_in_their_range() -> None:
    machine = Machine(GpuReader())
    first = machine.read()
    while (second := machine.read()).cpu_percent is None:
        pass
    assert 0.0 <= second.cpu_percent <= 100.0
    for reading in (first, second):
        assert 0.0 < reading.memory_used_bytes < reading.memory_total_bytes
        assert reading.memory_total_bytes == psutil.virtual_memory().total
        share = reading.memory_used_bytes / reading.memory_total_bytes
        assert reading.memory_percent == pytest.approx(100 * share, abs=0.1)
    machine.close()


def test_by_default_the_service_is_this_process() -> None:
    resident = psutil.Process().memory_info().rss
    assert Machine(GpuReader()).read().service_memory_bytes == pytest.approx(resident, rel=0.3)


def test_replicas_are_found_by_their_command_line() -> None:
    program = psutil.Process().cmdline()[0]
    resident = psutil.Process().memory_info().rss
    assert Machine(GpuReader(), program).read().service_memory_bytes >= 0.7 * resident
    assert Machine(GpuReader(), "no such program").read().service_memory_bytes == 0.0
