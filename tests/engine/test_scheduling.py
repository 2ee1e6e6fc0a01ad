"""The service's own policy on the real device loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from serve_app.config import AccelerationConfig, EngineConfig
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasEvent, CanvasPreview, CanvasResult, CanvasStep, Ticket
from serve_app.errors import DeadlineExceeded
from tests.engine.loops import in_turns
from tests.engine.tasks import PROMPTS, photo, task


@pytest.fixture(params=[False, True], ids=["between", "beside"])
def loop(plus: Checkpoint, request: pytest.FixtureRequest) -> Iterator[DeviceLoop]:
    """Encoders and decoder between the steps, as on a CPU, and beside them, as on a GPU."""
    loop = DeviceLoop(plus, EngineConfig(), beside=request.param)
    yield loop
    loop.close()


def run(loop: DeviceLoop, tickets: list[Ticket]) -> list[CanvasResult]:
    for ticket in tickets:
        loop.submit(ticket)
    return [ticket.future.result(timeout=120) for ticket in tickets]


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("stack_guidance", [True, False])
def test_mixed_requests_get_what_each_gets_alone(
    plus: Checkpoint, stack_guidance: bool, beside: bool
) -> None:
    jobs = [
        task(
            plus,
            tuple(photo(n + k, *size) for k in range(pictures)),
            prompt,
            steps=2 + n % 5,
            scale=1.0 if n % 3 == 0 else 3.5,
            seed=n,
        )
        for n, (prompt, size, pictures) in enumerate(
            zip(
                PROMPTS * 2,
                [(64, 64), (96, 64), (64, 64), (64, 64), (96, 64)] * 2,
                [1, 1, 2, 1, 1, 1, 2, 1, 1, 1],
                strict=True,
            )
        )
    ]
    acceleration = AccelerationConfig(stack_guidance=stack_guidance)
    together = DeviceLoop(plus, EngineConfig(acceleration=acceleration), beside=beside)
    alone = in_turns(plus, 1)
    try:
        results = run(together, [Ticket(job, None) for job in jobs])
        for job, result in zip(jobs, results, strict=True):
            (expected,) = run(alone, [Ticket(job, None)])
            torch.testing.assert_close(result.latents, expected.latents, atol=1e-4, rtol=0)
            assert np.abs(result.pixels.astype(int) - expected.pixels).max() <= 1
    finally:
        together.close()
        alone.close()


class Order:
    """Notes who finishes when, and acts at a step of the first."""

    def __init__(self) -> None:
        self.finished: list[str] = []

    def ticket(self, name: str, job: object, at: dict[int, object] | None = None) -> Ticket:
        def listen(event: CanvasEvent) -> None:
            if isinstance(event, CanvasStep):
                if at and event.step in at:
                    at[event.step]()  # type: ignore[operator]
                if event.step == event.total:
                    self.finished.append(name)

        return Ticket(job, listen)  # type: ignore[arg-type]


def test_a_short_edit_overtakes_a_long_one_that_is_running(
    plus: Checkpoint, loop: DeviceLoop
) -> None:
    """Of another canvas, so that they can't share steps; the long one gives the same pixels."""
    run(loop, [Ticket(task(plus, (photo(9, 64, 64),), steps=6), None)])  # costs are measured
    order = Order()
    long_job = task(plus, (photo(1, 64, 64),), steps=400, seed=1)
    short = order.ticket("short", task(plus, (photo(2, 96, 64),), steps=2, seed=2))
    long = order.ticket("long", long_job, {3: lambda: loop.submit(short)})
    results = run(loop, [long])
    assert short.future.result(timeout=120).finite
    assert order.finished == ["short", "long"]
    alone = in_turns(plus, 1)
    try:
        (expected,) = run(alone, [Ticket(long_job, None)])
    finally:
        alone.close()
    torch.testing.assert_close(results[0].latents, expected.latents, atol=1e-4, rtol=0)


def test_priority_decides_among_equals(plus: Checkpoint, loop: DeviceLoop) -> None:
    run(loop, [Ticket(task(plus, (photo(9, 64, 64),), steps=6), None)])
    order = Order()
    sizes = [(64, 64), (96, 64), (64, 96)]  # three canvases: no sharing
    tickets = [
        order.ticket(
            str(priority),
            replace(task(plus, (photo(n, *size),), steps=150, seed=n), priority=priority),
        )
        for n, (size, priority) in enumerate(zip(sizes, (1, 9, 5), strict=True))
    ]
    run(loop, tickets)
    assert order.finished == ["9", "5", "1"]


def test_previews_come_in_order_and_before_the_result(plus: Checkpoint, loop: DeviceLoop) -> None:
    seen: list[CanvasPreview] = []
    done_before: list[bool] = []

    def listen(event: CanvasEvent) -> None:
        if isinstance(event, CanvasPreview):
            seen.append(event)
            done_before.append(ticket.future.done())

    job = replace(task(plus, (photo(1, 64, 64),), steps=8, scale=1.0), partial_images=3)
    ticket = Ticket(job, listen)
    (result,) = run(loop, [ticket])
    assert done_before == [False] * 3
    distances = [np.abs(p.pixels.astype(int) - result.pixels).mean() for p in seen]
    assert distances == sorted(distances, reverse=True)


def test_a_deadline_that_cannot_be_met_costs_no_step(plus: Checkpoint, loop: DeviceLoop) -> None:
    run(loop, [Ticket(task(plus, (photo(9, 64, 64),), steps=6), None)])
    steps = loop.steps
    hopeless = Ticket(task(plus, (photo(1, 64, 64),), steps=100_000), None, deadline_s=2.0)
    loop.submit(hopeless)
    with pytest.raises(DeadlineExceeded) as refusal:
        hopeless.future.result(timeout=60)
    assert refusal.value.param == "deadline_s"
    assert loop.steps == steps
    patient = Ticket(task(plus, (photo(1, 64, 64),), steps=3), None, deadline_s=100.0)
    assert run(loop, [patient])[0].finite


def test_a_deadline_that_passes_while_running_ends_the_edit(
    plus: Checkpoint, loop: DeviceLoop
) -> None:
    late = Ticket(task(plus, (photo(1, 64, 64),), steps=100_000), None, deadline_s=0.5)
    loop.submit(late)
    with pytest.raises(DeadlineExceeded):
        late.future.result(timeout=60)
    assert loop.pending() == 0


def test_many_submitting_threads_are_all_served(plus: Checkpoint, loop: DeviceLoop) -> None:
    tickets = [
        Ticket(task(plus, (photo(n % 4, 64, 64),), steps=1 + n % 4, scale=1.0, seed=n), None)
        for n in range(40)
    ]
    threads = [
        threading.Thread(target=lambda part=tickets[i::4]: [loop.submit(t) for t in part])
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(ticket.future.result(timeout=120).finite for ticket in tickets)
    loop.close()  # counted a moment after the result is there
    assert loop.delivery.finished == 40
    assert loop.pending() == 0
