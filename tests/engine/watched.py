"""Tickets that keep what they are told, and checkpoints with faults."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import replace
from typing import Any

import torch

from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import (
    CanvasEvent,
    CanvasPreview,
    CanvasQueued,
    CanvasResult,
    CanvasStep,
    CanvasTask,
    Ticket,
)
from serve_app.errors import EditFailed
from serve_app.images.pixels import RGB
from tests.engine.tasks import photo, task

SQUARE, WIDE = (64, 64), (96, 64)
FAULT = "CUDA error: an illegal memory access in /opt/secret/kernel.cu"
SHORTAGE = "CUDA out of memory. Tried to allocate 2.00 GiB in /opt/secret/kernel.cu"
PATIENCE_S = 120.0

Fault = Callable[[tuple[Any, ...], dict[str, Any]], object]
"""Called with the positional and the named arguments of a forward that is about to run."""


def small(
    checkpoint: Checkpoint,
    prompt: str = "x",
    *,
    size: tuple[int, int] = SQUARE,
    steps: int = 3,
    scale: float = 1.0,
    seed: int = 0,
    **changes: Any,
) -> CanvasTask:
    made = task(checkpoint, (photo(seed, *size),), prompt, steps=steps, scale=scale, seed=seed)
    return replace(made, **changes)


class Watched:
    """A ticket that keeps its reports and acts at chosen steps, on the device thread."""

    def __init__(
        self,
        job: CanvasTask,
        at: dict[int, Callable[[], object]] | None = None,
        deadline_s: float | None = None,
    ) -> None:
        self.events: list[CanvasEvent] = []
        self.at = at or {}
        self.ticket = Ticket(job, self._listen, deadline_s)

    def _listen(self, event: CanvasEvent) -> None:
        self.events.append(event)
        if isinstance(event, CanvasStep):
            self.at.get(event.step, lambda: None)()

    @property
    def steps(self) -> list[CanvasStep]:
        return [event for event in self.events if isinstance(event, CanvasStep)]

    @property
    def queued(self) -> list[CanvasQueued]:
        return [event for event in self.events if isinstance(event, CanvasQueued)]

    @property
    def previews(self) -> dict[int, RGB]:
        """The previews, by the number of steps that had been reported before."""
        seen: dict[int, RGB] = {}
        step = 0
        for event in self.events:
            match event:
                case CanvasStep():
                    step = event.step
                case CanvasPreview():
                    seen[step] = event.pixels
        return seen

    @property
    def shared(self) -> list[int]:
        return [step.batch_size for step in self.steps]

    def result(self) -> CanvasResult:
        return self.ticket.future.result(timeout=PATIENCE_S)

    def error(self) -> BaseException | None:
        return self.ticket.future.exception(timeout=PATIENCE_S)


def alone(loop: DeviceLoop, job: CanvasTask) -> torch.Tensor:
    ticket = Ticket(job, None)
    loop.submit(ticket)
    return ticket.future.result(timeout=PATIENCE_S).latents


def assert_same(latents: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(latents, expected, atol=1e-4, rtol=0)


def faulty(checkpoint: Checkpoint, component: str, fault: Fault) -> Checkpoint:
    """Copy a checkpoint so that ``fault`` sees every forward of one component first.

    ``component`` may lie inside another: ``vae.encoder``.
    """
    name, _, inner = component.partition(".")
    pipeline = copy.copy(checkpoint.pipeline)
    module = copy.deepcopy(getattr(pipeline, name))
    (module.get_submodule(inner) if inner else module).register_forward_pre_hook(
        lambda _, args, call: fault(args, call) and None, with_kwargs=True
    )
    setattr(pipeline, name, module)
    return replace(checkpoint, pipeline=pipeline)


def raising(error: Exception) -> Fault:
    """A fault that is always there."""

    def fault(_: tuple[Any, ...], call: dict[str, Any]) -> None:
        raise error

    return fault


def assert_failed_cleanly(ticket: Ticket) -> None:
    error = ticket.future.exception(timeout=PATIENCE_S)
    assert type(error) is EditFailed
    assert_tells_nothing(error)


def assert_tells_nothing(error: Exception) -> None:
    """Neither a library's words nor paths."""
    assert "CUDA" not in str(error)
    assert "/" not in str(error)


def run_together(loop: DeviceLoop, crowd: list[Watched], gate: CanvasTask) -> None:
    """Submit a crowd while the device is busy with ``gate``, so that they meet.

    Returns when all are done: a VAE serves one decoder at a time, and whoever compares has
    another loop on the same one.
    """
    first = Watched(gate, {1: lambda: [loop.submit(watched.ticket) for watched in crowd]})
    loop.submit(first.ticket)
    first.result()
    wait([watched.ticket.future for watched in crowd], timeout=120)
