"""Encoders and decoder beside the steps: what happens when their memory runs out."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

from serve_app.config import EngineConfig
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.load import Checkpoint
from serve_app.errors import EditTooLarge
from tests.engine.loops import in_turns
from tests.engine.watched import (
    SHORTAGE,
    Fault,
    Watched,
    alone,
    assert_same,
    assert_tells_nothing,
    faulty,
    small,
)

STAGES = ("text_encoder", "vae.encoder", "vae.decoder")


class Short:
    """Runs out of memory in some calls, and notes which were beside the steps."""

    def __init__(self, in_calls: range) -> None:
        self.beside: list[bool] = []
        self._in_calls = in_calls

    def __call__(self, args: tuple[Any, ...], call: dict[str, Any]) -> None:
        self.beside.append(threading.current_thread().name != "device")
        if len(self.beside) in self._in_calls:
            raise torch.OutOfMemoryError(SHORTAGE)


def beside(plus: Checkpoint, stage: str, fault: Fault) -> DeviceLoop:
    return DeviceLoop(faulty(plus, stage, fault), EngineConfig(), beside=True)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_runs_out_of_memory_once_is_repeated_between_the_steps(
    plus: Checkpoint, stage: str
) -> None:
    short = Short(range(1, 2))
    loop, healthy = beside(plus, stage, short), in_turns(plus, 1)
    job = small(plus, steps=2)
    try:
        assert_same(alone(loop, job), alone(healthy, job))
        # What runs out beside is done again by the device thread, which has the device alone.
        assert short.beside[:2] == [True, False]
        assert alone(loop, small(plus, seed=2)).isfinite().all()
        assert short.beside[-1]
    finally:
        loop.close()
        healthy.close()
    assert (loop.pending(), loop.delivery.failures) == (0, 0)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("apart", [True, False])
def test_a_stage_that_never_fits_is_one_request_too_large_and_nobody_elses_trouble(
    plus: Checkpoint, stage: str, apart: bool
) -> None:
    short = Short(range(1, 3))  # the first try, and the one with the device to itself
    loop = DeviceLoop(faulty(plus, stage, short), EngineConfig(), beside=apart)
    doomed = Watched(small(plus, steps=2))
    try:
        loop.submit(doomed.ticket)
        error = doomed.error()
        assert type(error) is EditTooLarge
        assert "1 image at 64x64" in error.message
        assert_tells_nothing(error)
        mate = Watched(small(plus, seed=2))
        loop.submit(mate.ticket)
        assert mate.result().finite
    finally:
        loop.close()
    assert (loop.pending(), loop.delivery.failures) == (0, 0)


def test_others_go_on_while_a_stage_waits_for_its_second_try(plus: Checkpoint) -> None:
    short = Short(range(2, 3))  # the second picture
    loop = beside(plus, "vae.encoder", short)
    late = Watched(small(plus, steps=2, seed=2))
    first = Watched(small(plus, steps=200), {1: lambda: loop.submit(late.ticket)})
    try:
        loop.submit(first.ticket)
        assert late.result().finite
        assert first.result().finite
        assert [step.step for step in first.steps] == list(range(1, 201))
        assert short.beside == [True, True, False]
    finally:
        loop.close()


@pytest.mark.parametrize("apart", [True, False])
def test_a_preview_that_does_not_fit_does_not_cost_the_edit(plus: Checkpoint, apart: bool) -> None:
    short = Short(range(1, 2))
    loop = DeviceLoop(faulty(plus, "vae.decoder", short), EngineConfig(), beside=apart)
    watched = Watched(small(plus, steps=6, partial_images=2))
    try:
        loop.submit(watched.ticket)
        assert watched.result().finite
        assert loop.delivery.failures == 0
    finally:
        loop.close()


def test_a_request_that_leaves_before_its_second_try_is_not_tried(plus: Checkpoint) -> None:
    def shortage(args: tuple[Any, ...], call: dict[str, Any]) -> None:
        calls.append(1)
        doomed.ticket.future.cancel()
        raise torch.OutOfMemoryError(SHORTAGE)

    calls: list[int] = []
    doomed = Watched(small(plus))
    loop = beside(plus, "text_encoder", shortage)
    try:
        loop.submit(doomed.ticket)
        mate = Watched(small(plus, seed=2))
        loop.submit(mate.ticket)
        assert type(mate.error()) is EditTooLarge  # this one was tried again, and stayed short
        assert len(calls) == 3
    finally:
        loop.close()
    assert loop.pending() == 0


def test_closing_fails_what_waits_for_a_decoder(plus: Checkpoint) -> None:
    """And ends both threads."""
    loops: list[DeviceLoop] = []
    closers: list[threading.Thread] = []

    def close_now(args: tuple[Any, ...], call: dict[str, Any]) -> None:
        closers.append(threading.Thread(target=loops[0].close))
        closers[0].start()

    loop = beside(plus, "vae.decoder", close_now)
    loops.append(loop)
    crowd = [Watched(small(plus, steps=2, seed=n)) for n in range(3)]
    for watched in crowd:
        loop.submit(watched.ticket)
    for watched in crowd:
        watched.error()
    closers[0].join(60)
    assert not closers[0].is_alive()
    assert not loop.alive
    assert loop.pending() == 0
