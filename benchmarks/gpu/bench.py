"""What all parts share: the models, the device, the time, and where rows go."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks.gpu.acceleration import Acceleration
from benchmarks.gpu.architecture import (
    Size,
    make_pipeline,
    make_text_encoder,
    make_transformer,
    make_vae,
)
from benchmarks.gpu.device import Deadline, Device, TimeIsUp
from benchmarks.gpu.floor import forward_flop, image_tokens
from benchmarks.gpu.options import Options
from benchmarks.gpu.record import Record, Row


class Unavailable(Exception):
    """This installation or device lacks what a row needs."""


class Progress:
    """Lines with the time since the start, written at once: they show where a run hangs."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self._started:6.1f} s] {text}", flush=True)


@dataclass
class Bench:
    """The models are made when first needed and stay for the parts that follow.

    ``matmul_rate`` is the device's ceiling, FLOP per second.
    """

    size: Size
    device: Device
    options: Options
    deadline: Deadline
    progress: Progress
    matmul_rate: float
    _models: dict[str, Any] = field(default_factory=dict)

    def pipeline(self, *, encoders: bool) -> Any:
        """The stock pipeline; without ``encoders`` it takes ready embeddings only."""
        text_encoder = self._model("text encoder", make_text_encoder) if encoders else None
        return make_pipeline(self.transformer(), self._model("VAE", make_vae), text_encoder)

    def transformer(self) -> Any:
        zero_cond_t = self.options.zero_cond_t
        return self._model(
            "transformer",
            lambda size, device: make_transformer(size, device, zero_cond_t=zero_cond_t),
        )

    def drop_transformer(self) -> None:
        """Forget the transformer, after something changed its weights."""
        self._models.pop("transformer", None)
        torch.compiler.reset()
        self.device.free()

    def _model(self, name: str, make: Callable[[Size, torch.device], Any]) -> Any:
        if name not in self._models:
            started = self.device.now()
            self._models[name] = make(self.size, self.device.torch)
            seconds = self.device.now() - started
            parameters = sum(weight.numel() for weight in self._models[name].parameters())
            self.progress(f"made the {name}: {parameters:,} parameters in {seconds:.1f} s")
        return self._models[name]

    def acceleration(self) -> Acceleration:
        """Our side as the command line wants it."""
        options = self.options
        compiler = self.size.compiler if options.compiled else None
        mode = options.compile_mode if options.compiled else None
        # For any shape, as the service compiles.
        return Acceleration(self.transformer(), options.attention, compiler, mode, options.compiled)

    def floor_s(self, side: int, text_lengths: tuple[int, ...]) -> float:
        """Seconds of one step at the measured matmul rate; a row per text length."""
        tokens = image_tokens(side)
        flop = sum(forward_flop(self.size.transformer, tokens, text) for text in text_lengths)
        return flop / self.matmul_rate

    def measured(
        self, measure: Callable[[], float], repeats: int, estimate_s: float = 0.0
    ) -> list[float]:
        """Warm up once, then measure ``repeats`` times, or fewer if time runs out.

        Raises ``TimeIsUp`` if there is no time for one: the warm-up, which is expected to
        take ``estimate_s`` seconds, tells how long one takes.
        """
        self.deadline.require(estimate_s)
        started = time.monotonic()
        measure()
        once_s = time.monotonic() - started
        if estimate_s:
            once_s = min(once_s, estimate_s)  # the warm-up may have compiled
        seconds: list[float] = []
        for _ in range(repeats):
            if not seconds:
                self.deadline.require(min(once_s, 30.0))
            elif self.deadline.remaining_s() < once_s:
                break
            seconds.append(measure())
        return seconds


class Part:
    """One part while it runs: collects its rows, prints and writes each at once."""

    def __init__(self, entry: str, bench: Bench, record: Record) -> None:
        self.entry = entry
        self.rows: list[Row] = []
        self.failed = False
        self._bench, self._record = bench, record

    @property
    def peak_memory_gb(self) -> float | None:
        peaks = [row.peak_memory_gb for row in self.rows if row.peak_memory_gb is not None]
        return max(peaks, default=None)

    def add(self, row: Row) -> None:
        row.peak_memory_gb = self._bench.device.peak_gb()
        self.rows.append(row)
        self._record.add(self.entry, row)
        seconds = "" if row.seconds is None else f": {row.seconds:.4g} s per {row.per}"
        status = "" if row.status == "measured" else f" [{row.status}]"
        self._bench.progress(f"{self.entry}: {row.what}{seconds}{status} {row.note}".rstrip())

    @contextmanager
    def row(self, what: str) -> Iterator[None]:
        """Measure one row; what goes wrong becomes its status, and the next row follows.

        ``TimeIsUp`` ends the part.
        """
        self._bench.device.free()
        try:
            yield
        except TimeIsUp:
            raise
        except torch.OutOfMemoryError:
            self.add(Row(what, status="out of memory"))
        except Unavailable as reason:
            self.add(Row(what, status="not here", note=str(reason)))
        except Exception as error:  # noqa: BLE001  a broken mode must not cost the others
            self.failed = True
            self.add(Row(what, status="failed", note=described(error)))
        # Here the traceback, which holds tensors, is gone.
        self._bench.device.free()


def described(error: BaseException) -> str:
    """The error's type and the first line of its text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def step_row(what: str, seconds: list[float], floor_s: float, **values: Any) -> Row:
    """A row about seconds per step."""
    median = statistics.median(seconds)
    details = {"seconds": seconds, **values.pop("details", {})}
    return Row(what, median, "step", share_of_floor=floor_s / median, details=details, **values)
