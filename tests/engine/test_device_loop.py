"""Who shares a step, who leaves, who fails: seen from outside, through what is reported.

Listeners are called on the device thread between steps, so what a listener submits or
cancels happens at a known step, and no test has to wait for a moment.
"""

from __future__ import annotations

import copy
import gc
import logging
import random
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.engine.decode import decode
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.encode import encode
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import (
    CanvasResult,
    CanvasStep,
    CanvasTask,
    DenoisingState,
    Listener,
    Ticket,
)
from serve_app.errors import EditFailed, NotReady
from tests.engine.tasks import photo, task

SQUARE, WIDE = (64, 64), (96, 64)
FAULT = "CUDA error: an illegal memory access in /opt/secret/kernel.cu"


def small(
    checkpoint: Checkpoint,
    prompt: str = "x",
    *,
    size: tuple[int, int] = SQUARE,
    steps: int = 3,
    scale: float = 1.0,
    seed: int = 0,
) -> CanvasTask:
    return task(checkpoint, (photo(seed, *size),), prompt, steps=steps, scale=scale, seed=seed)


class Watched:
    """A ticket that keeps its reports and acts at chosen steps, on the device thread."""

    def __init__(self, job: CanvasTask, at: dict[int, Callable[[], object]] | None = None) -> None:
        self.steps: list[CanvasStep] = []
        self.at = at or {}
        self.ticket = Ticket(job, self._listen)

    def _listen(self, step: CanvasStep) -> None:
        self.steps.append(step)
        self.at.get(step.step, lambda: None)()

    @property
    def shared(self) -> list[int]:
        return [step.batch_size for step in self.steps]

    def result(self) -> CanvasResult:
        return self.ticket.future.result(timeout=120)


def alone(loop: DeviceLoop, job: CanvasTask) -> torch.Tensor:
    ticket = Ticket(job, None)
    loop.submit(ticket)
    return ticket.future.result(timeout=120).latents


def assert_same(latents: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(latents, expected, atol=1e-4, rtol=0)


# Sharing steps


def test_requests_that_came_while_the_device_was_busy_share_the_next_step(
    plus: Checkpoint, device_loop: DeviceLoop
) -> None:
    late = [Watched(small(plus, "late" * n, seed=n)) for n in (1, 2, 3)]

    def arrive() -> None:
        for watched in late:
            device_loop.submit(watched.ticket)

    first = Watched(small(plus, steps=4), {2: arrive})
    device_loop.submit(first.ticket)
    first.result()
    assert first.shared == [1, 1, 4, 4]
    for watched in late:
        watched.result()
        assert watched.shared == [4, 4, 3]


def test_everyone_ends_as_alone_though_a_late_one_joined(
    plus: Checkpoint, device_loop: DeviceLoop
) -> None:
    late = Watched(small(plus, "a later prompt", scale=4.0, seed=2))
    first = Watched(small(plus, steps=5), {2: lambda: device_loop.submit(late.ticket)})
    device_loop.submit(first.ticket)
    results = [first.result().latents, late.result().latents]
    for watched, latents in zip((first, late), results, strict=True):
        assert_same(latents, alone(device_loop, watched.ticket.task))


def test_no_step_holds_more_than_the_limit(plus: Checkpoint) -> None:
    loop = DeviceLoop(plus, max_batch_size=2)
    try:
        others = [Watched(small(plus, seed=n)) for n in (1, 2, 3, 4)]
        gate = Watched(small(plus, steps=2), {1: lambda: [loop.submit(o.ticket) for o in others]})
        loop.submit(gate.ticket)
        for watched in (gate, *others):
            watched.result()
        assert max(size for o in others for size in o.shared) == 2
    finally:
        loop.close()


# Leaving


def test_a_cancelled_request_leaves_at_the_next_step_and_its_mates_do_not_notice(
    plus: Checkpoint, device_loop: DeviceLoop
) -> None:
    leaver = Watched(small(plus, "leaver", steps=6, seed=1))
    mates = [Watched(small(plus, "mate" * n, steps=5, scale=4.0, seed=n)) for n in (2, 3)]
    gate = Watched(
        small(plus, steps=6),
        {
            1: lambda: [device_loop.submit(w.ticket) for w in (leaver, *mates)],
            3: lambda: leaver.ticket.future.cancel(),
        },
    )
    device_loop.submit(gate.ticket)
    results = [watched.result().latents for watched in (gate, *mates)]
    # The step in flight when it left is the gate's third, its own second.
    assert len(leaver.steps) <= 2
    assert gate.shared == [1, 4, 4, 3, 3, 3]
    for watched, latents in zip((gate, *mates), results, strict=True):
        assert_same(latents, alone(device_loop, watched.ticket.task))


def test_the_place_of_a_cancelled_request_is_free_at_the_next_step(plus: Checkpoint) -> None:
    loop = DeviceLoop(plus, max_batch_size=1)
    try:
        waiting = Watched(small(plus, seed=1))
        first = Watched(small(plus, steps=50))
        first.at[2] = lambda: (loop.submit(waiting.ticket), first.ticket.future.cancel())
        loop.submit(first.ticket)
        waiting.result()
        assert len(first.steps) == 2
        assert [step.step for step in waiting.steps] == [1, 2, 3]
    finally:
        loop.close()


def test_a_request_cancelled_before_it_starts_is_never_encoded(plus: Checkpoint) -> None:
    encoded: list[int] = []
    checkpoint = faulty(plus, "text_encoder", lambda _, call: encoded.append(1))
    loop = DeviceLoop(checkpoint, max_batch_size=4)
    try:
        withdrawn = Watched(small(plus, seed=1))
        gate = Watched(
            small(plus),
            {1: lambda: (loop.submit(withdrawn.ticket), withdrawn.ticket.future.cancel())},
        )
        loop.submit(gate.ticket)
        gate.result()
        assert len(encoded) == 1
        assert withdrawn.steps == []
    finally:
        loop.close()


def test_waiting_requests_whose_callers_left_do_not_count_as_pending(plus: Checkpoint) -> None:
    """Or the queue would look full, and turn newcomers away, with nobody in it."""
    loop = DeviceLoop(plus, max_batch_size=1)
    try:
        waiting = [Ticket(small(plus, seed=n), None) for n in range(5)]
        pending: list[int] = []
        gate = Watched(
            small(plus, steps=4),
            {
                1: lambda: [loop.submit(ticket) for ticket in waiting],
                2: lambda: (
                    pending.append(loop.pending()),
                    [ticket.future.cancel() for ticket in waiting],
                ),
                3: lambda: pending.append(loop.pending()),
            },
        )
        loop.submit(gate.ticket)
        gate.result()
        assert pending == [6, 1]
    finally:
        loop.close()


def test_a_request_counts_as_pending_while_it_is_encoded(plus: Checkpoint) -> None:
    """Or a device that hangs in the encoder would look idle, and healthy."""
    pending: list[int] = []
    loops: list[DeviceLoop] = []
    checkpoint = faulty(plus, "text_encoder", lambda _, call: pending.append(loops[0].pending()))
    loop = DeviceLoop(checkpoint, max_batch_size=2)
    loops.append(loop)
    try:
        alone(loop, small(plus))
        assert pending == [1]
    finally:
        loop.close()


# Failing


def faulty(
    checkpoint: Checkpoint, component: str, fault: Callable[[Any, dict[str, Any]], object]
) -> Checkpoint:
    """Copy a checkpoint so that ``fault`` sees every forward of one component first."""
    pipeline = copy.copy(checkpoint.pipeline)
    module = copy.deepcopy(getattr(pipeline, component))
    module.register_forward_pre_hook(
        lambda hooked, args, call: fault(hooked, call) and None, with_kwargs=True
    )
    setattr(pipeline, component, module)
    return replace(checkpoint, pipeline=pipeline)


def assert_failed_cleanly(ticket: Ticket) -> None:
    error = ticket.future.exception(timeout=120)
    assert type(error) is EditFailed
    assert "CUDA" not in str(error)
    assert "/" not in str(error)


def start_together(loop: DeviceLoop, crowd: list[Watched], gate: CanvasTask) -> None:
    """Submit a crowd while the device is busy with ``gate``, so that they meet."""
    first = Watched(gate, {1: lambda: [loop.submit(watched.ticket) for watched in crowd]})
    loop.submit(first.ticket)
    first.result()


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(doomed=st.integers(0, 3), at_step=st.integers(1, 4), scale=st.sampled_from([1.0, 4.0]))
def test_a_forward_that_raises_for_one_row_fails_that_request_alone(
    plus: Checkpoint, doomed: int, at_step: int, scale: float
) -> None:
    """The fault: rows of one prompt length raise from a drawn step on."""
    jobs = [small(plus, "word " * (n + 1), steps=4, scale=scale, seed=n) for n in range(4)]
    with torch.no_grad():
        victim = encode(plus, Ticket(jobs[doomed], None))
    fatal_length = victim.positive.shape[1]
    fatal_timestep = float(victim.timesteps[at_step - 1]) / 1000

    def fault(_: Any, call: dict[str, Any]) -> None:
        mask, embeddings = call["encoder_hidden_states_mask"], call["encoder_hidden_states"]
        lengths = (
            [embeddings.shape[1]] * len(embeddings) if mask is None else mask.sum(dim=1).tolist()
        )
        for length, timestep in zip(lengths, call["timestep"].tolist(), strict=True):
            if length == fatal_length and timestep <= fatal_timestep + 1e-6:
                raise RuntimeError(FAULT)

    loop = DeviceLoop(faulty(plus, "transformer", fault), max_batch_size=5)
    healthy = DeviceLoop(plus, max_batch_size=1)
    crowd = [Watched(job) for job in jobs]
    try:
        start_together(loop, crowd, small(plus, "a prompt of another length", steps=2))
        for number, watched in enumerate(crowd):
            if number == doomed:
                assert_failed_cleanly(watched.ticket)
                assert [step.step for step in watched.steps] == list(range(1, at_step))
            else:
                assert_same(watched.result().latents, alone(healthy, watched.ticket.task))
                assert [step.step for step in watched.steps] == [1, 2, 3, 4]
    finally:
        loop.close()
        healthy.close()


def test_an_encoder_that_raises_for_one_prompt_fails_that_request_alone(plus: Checkpoint) -> None:
    jobs = [small(plus, "word " * (n + 1), seed=n) for n in range(4)]
    calls: list[int] = []

    def fault(_: Any, call: dict[str, Any]) -> None:
        calls.append(1)
        if len(calls) == 3:  # the gate's prompt comes first, then one per request
            raise RuntimeError(FAULT)

    loop = DeviceLoop(faulty(plus, "text_encoder", fault), max_batch_size=5)
    healthy = DeviceLoop(plus, max_batch_size=1)
    crowd = [Watched(job) for job in jobs]
    try:
        start_together(loop, crowd, small(plus, steps=2))
        assert_failed_cleanly(crowd[1].ticket)
        assert crowd[1].steps == []
        for watched in (crowd[0], *crowd[2:]):
            assert_same(watched.result().latents, alone(healthy, watched.ticket.task))
    finally:
        loop.close()
        healthy.close()


def test_a_decoder_that_raises_for_one_result_fails_that_request_alone(plus: Checkpoint) -> None:
    crowd = [Watched(small(plus, steps=2 + n, seed=n)) for n in range(3)]
    calls: list[int] = []

    def fault(_: Any, call: dict[str, Any]) -> None:
        calls.append(1)
        if len(calls) == 3:  # the gate, the crowd's first, then its second
            raise RuntimeError(FAULT)

    checkpoint = faulty(plus, "vae", lambda *_: None)
    checkpoint.pipeline.vae.decoder.register_forward_pre_hook(fault)
    loop = DeviceLoop(checkpoint, max_batch_size=4)
    healthy = DeviceLoop(plus, max_batch_size=1)
    try:
        start_together(loop, crowd, small(plus, steps=2))
        assert_failed_cleanly(crowd[1].ticket)
        for watched in (crowd[0], crowd[2]):
            assert_same(watched.result().latents, alone(healthy, watched.ticket.task))
    finally:
        loop.close()
        healthy.close()


def test_a_failure_is_in_the_log_without_the_words_of_a_library(
    plus: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(_: Any, call: dict[str, Any]) -> None:
        raise RuntimeError(FAULT)

    loop = DeviceLoop(faulty(plus, "transformer", fault), max_batch_size=2)
    try:
        with caplog.at_level(logging.ERROR):
            ticket = Ticket(small(plus), None)
            loop.submit(ticket)
            assert_failed_cleanly(ticket)
        assert "RuntimeError" in caplog.text
        assert FAULT not in caplog.text
    finally:
        loop.close()


# Taking turns


def test_canvases_of_different_shapes_take_turns(plus: Checkpoint, device_loop: DeviceLoop) -> None:
    order: list[str] = []

    def told(name: str) -> Listener:
        return lambda step: order.append(name)

    tickets = [
        Ticket(small(plus, size=size, steps=4, seed=n), told(name))
        for n, (name, size) in enumerate([("square", SQUARE), ("wide", WIDE)] * 2)
    ]
    gate = Watched(
        small(plus, steps=1), {1: lambda: [device_loop.submit(ticket) for ticket in tickets]}
    )
    device_loop.submit(gate.ticket)
    for ticket in tickets:
        ticket.future.result(timeout=120)
    # Two reports a step, one per request of the shape whose turn it is.
    turns = order[::2]
    assert turns == order[1::2]
    assert sorted(turns) == ["square"] * 4 + ["wide"] * 4
    assert all(turn != following for turn, following in pairwise(turns))


# Progress and previews


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_progress_counts_every_step_once_in_order(
    plus: Checkpoint, device_loop: DeviceLoop, steps: int
) -> None:
    watched = Watched(small(plus, steps=steps))
    device_loop.submit(watched.ticket)
    watched.result()
    assert [(step.step, step.total) for step in watched.steps] == [
        (n, steps) for n in range(1, steps + 1)
    ]
    assert all(step.preview is None for step in watched.steps)


@pytest.mark.parametrize(
    ("steps", "previews", "planned"), [(8, 3, [2, 4, 6]), (4, 1, [2]), (2, 3, [1]), (1, 3, [])]
)
def test_previews_come_spread_over_the_steps_and_never_at_the_last(
    plus: Checkpoint, device_loop: DeviceLoop, steps: int, previews: int, planned: list[int]
) -> None:
    watched = Watched(replace(small(plus, size=WIDE, steps=steps), partial_images=previews))
    device_loop.submit(watched.ticket)
    watched.result()
    seen = {step.step: step.preview for step in watched.steps if step.preview is not None}
    assert list(seen) == planned
    assert all(pixels.shape == (64, 96, 3) for pixels in seen.values())
    assert all(pixels.dtype == np.uint8 for pixels in seen.values())


def test_a_preview_shows_where_the_edit_is_heading_and_not_its_noise(
    plus: Checkpoint, device_loop: DeviceLoop
) -> None:
    job = replace(small(plus, steps=6), partial_images=1)
    watched = Watched(job)
    device_loop.submit(watched.ticket)
    final = watched.result().pixels
    (preview,) = (step.preview for step in watched.steps if step.preview is not None)
    with torch.no_grad():
        start = encode(plus, Ticket(job, None))
        noise, _ = decode(plus, start.latents, start)
    assert not np.array_equal(preview, noise)
    distance = np.abs(preview.astype(int) - final).mean()
    assert distance < np.abs(noise.astype(int) - final).mean()


def test_a_listener_that_raises_fails_its_own_request_alone(
    plus: Checkpoint, device_loop: DeviceLoop
) -> None:
    def fault() -> None:
        raise RuntimeError(FAULT)

    mate = Watched(small(plus, seed=2))
    doomed = Watched(small(plus, steps=5), {2: fault, 1: lambda: device_loop.submit(mate.ticket)})
    device_loop.submit(doomed.ticket)
    assert_failed_cleanly(doomed.ticket)
    mate.result()
    assert len(doomed.steps) == 2


# Ending


@pytest.fixture
def closing(plus: Checkpoint) -> Iterator[DeviceLoop]:
    loop = DeviceLoop(plus, max_batch_size=2)
    yield loop
    loop.close()


def test_close_fails_the_unfinished_and_refuses_newcomers(
    plus: Checkpoint, closing: DeviceLoop
) -> None:
    tickets = [Ticket(small(plus, steps=100, seed=n), None) for n in range(4)]
    finished = Watched(small(plus, steps=1))
    running = Watched(small(plus, steps=100))
    gate = Watched(
        small(plus, steps=2),
        {1: lambda: [closing.submit(t) for t in (finished.ticket, running.ticket, *tickets)]},
    )
    closing.submit(gate.ticket)
    done = gate.result()
    finished.result()
    closing.close()
    assert not closing.alive
    assert closing.pending() == 0
    for ticket in (running.ticket, *tickets):
        assert isinstance(ticket.future.exception(timeout=0), NotReady)
    assert gate.ticket.future.result(timeout=0) is done
    with pytest.raises(NotReady):
        closing.submit(Ticket(small(plus), None))
    closing.close()


def states_alive() -> int:
    gc.collect()
    return sum(type(thing) is DenoisingState for thing in gc.get_objects())


def test_two_hundred_requests_cancelled_at_random_leave_nothing_behind(plus: Checkpoint) -> None:
    loop = DeviceLoop(plus, max_batch_size=6)
    dice = random.Random(1)
    survivors: list[Watched] = []
    traces: list[weakref.ref[Any]] = []

    def submit_one(number: int) -> None:
        size = dice.choice((SQUARE, WIDE))
        job = replace(small(plus, size=size, steps=3, seed=number), prompt="x" * (number % 7))
        job = replace(job, references=(job.references[0].copy(),))
        watched = Watched(job)
        fate = dice.random()
        if 0.75 < fate < 0.9:
            watched.at[dice.randint(1, 3)] = watched.ticket.future.cancel
        loop.submit(watched.ticket)
        traces.extend(
            map(weakref.ref, (watched, watched.ticket.future, watched.ticket.task.references[0]))
        )
        if fate <= 0.75:
            watched.ticket.future.cancel()
        elif fate >= 0.9:
            survivors.append(watched)

    before = states_alive()
    left: list[tuple[int, int, int]] = []

    def look() -> None:
        running = states_alive() - before
        kept = sum(trace() is not None for trace in traces)
        left.append((loop.pending(), running, kept))

    try:
        for number in range(200):
            submit_one(number)
        assert survivors
        for watched in survivors:
            watched.result()
            assert [step.step for step in watched.steps] == [1, 2, 3]
        del watched
        survivors.clear()
        last = Watched(small(plus, size=(128, 32), steps=2))
        loop.submit(last.ticket)
        last.result()
        observer = Watched(small(plus, size=(128, 32), steps=1), {1: look})
        loop.submit(observer.ticket)
        observer.result()
        # The observer itself is running, with its own state; of the others nothing is left.
        assert left == [(1, 1, 0)]
    finally:
        loop.close()
    assert loop.pending() == 0
