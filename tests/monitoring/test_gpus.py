"""Reading GPUs: with a fake of one, with a driver that says little, and without any."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from serve_app.monitoring.gpus import GpuReader, GpuReading


class FakeGpuDriver:
    """Stands for the module ``pynvml`` on a machine with two GPUs.

    Calls of ``silent`` raise, as the driver does for what a GPU does not support.
    """

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def __init__(self, *silent: str, name: str | bytes = "NVIDIA H100") -> None:
        self._silent = silent
        self._name = name
        self.open = False

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("nvml") and name in object.__getattribute__(self, "_silent"):
            return self._refuse
        return object.__getattribute__(self, name)

    def _refuse(self, *_: object) -> None:
        raise self.NVMLError

    def nvmlInit(self) -> None:  # noqa: N802 its own name
        self.open = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open = False

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, gpu: int) -> str | bytes:  # noqa: N802
        return self._name

    def nvmlDeviceGetUtilizationRates(self, gpu: int) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=40 + gpu, memory=3)

    def nvmlDeviceGetMemoryInfo(self, gpu: int) -> Any:  # noqa: N802
        return SimpleNamespace(used=5 * 2**30, total=80 * 2**30, free=75 * 2**30)

    def nvmlDeviceGetTemperature(self, gpu: int, sensor: int) -> int:  # noqa: N802
        return 50 + gpu


def test_all_gpus_are_read() -> None:
    driver = FakeGpuDriver()
    reader = GpuReader(driver)
    assert reader.read() == (
        GpuReading(0, "NVIDIA H100", 40.0, 5.0 * 2**30, 80.0 * 2**30, 50.0),
        GpuReading(1, "NVIDIA H100", 41.0, 5.0 * 2**30, 80.0 * 2**30, 51.0),
    )
    assert driver.open
    reader.close()
    assert not driver.open
    assert reader.read() == ()


@pytest.mark.parametrize(
    ("silent", "figure"),
    [
        ("nvmlDeviceGetUtilizationRates", lambda gpu: gpu.load_percent),
        ("nvmlDeviceGetMemoryInfo", lambda gpu: gpu.memory_used_bytes),
        ("nvmlDeviceGetTemperature", lambda gpu: gpu.temperature_c),
    ],
)
def test_what_the_driver_does_not_say_is_open(
    silent: str, figure: Callable[[GpuReading], float | None]
) -> None:
    gpus = GpuReader(FakeGpuDriver(silent)).read()
    assert [figure(gpu) for gpu in gpus] == [None, None]
    assert all(gpu.name == "NVIDIA H100" for gpu in gpus)


@pytest.mark.parametrize("silent", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_a_driver_in_trouble_has_no_gpus(silent: str) -> None:
    reader = GpuReader(FakeGpuDriver(silent, "nvmlShutdown"))
    assert reader.read() == ()
    reader.close()


def test_names_may_be_bytes_or_missing() -> None:
    assert GpuReader(FakeGpuDriver(name=b"Tesla T4")).read()[0].name == "Tesla T4"
    assert GpuReader(FakeGpuDriver("nvmlDeviceGetName")).read()[0].name == ""


def test_the_real_library_never_raises_whatever_machine_this_is() -> None:
    reader = GpuReader()
    assert all(gpu.index >= 0 for gpu in reader.read())
    reader.close()
