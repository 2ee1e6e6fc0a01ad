"""Who shares a step, who leaves, what is left at the end: seen through what is reported.

Listeners are called on the device thread between steps, so what a listener submits or
cancels happens at a known step, and no test has to wait for a moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasStep, Listener, Ticket
from serve_app.errors import NotReady
from tests.engine.loops import in_turns
from tests.engine.watched import SQUARE, WIDE, Watched, alone, assert_same, faulty, small

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
    loop = in_turns(plus, 2)
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
    loop = in_turns(plus, 1)
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
    loop = in_turns(plus, 4)
    try:
        withdrawn = Watched(small(plus, seed=1))
        gate = Watched(
            small(plus),
            {1: lambda: (loop.submit(withdrawn.ticket), withdrawn.ticket.future.cancel())},
        )
        loop.submit(gate.ticket)
        gate.result()
        assert (loop.encoders.encoded.prompts, loop.encoders.encoded.images) == (1, 1)
        assert withdrawn.steps == []
    finally:
        loop.close()


def test_waiting_requests_whose_callers_left_do_not_count_as_pending(plus: Checkpoint) -> None:
    """Or the queue would look full, and turn newcomers away, with nobody in it."""
    loop = in_turns(plus, 1)
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
    checkpoint = faulty(plus, "vae.encoder", lambda _, call: pending.append(loops[0].pending()))
    loop = in_turns(checkpoint, 2)
    loops.append(loop)
    try:
        alone(loop, small(plus))
        assert pending == [1]
    finally:
        loop.close()


# Taking turns


def test_canvases_of_different_shapes_take_turns(plus: Checkpoint, device_loop: DeviceLoop) -> None:
    order: list[str] = []

    def told(name: str) -> Listener:
        return lambda event: order.append(name) if isinstance(event, CanvasStep) else None

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


# Ending


@pytest.fixture
def closing(plus: Checkpoint) -> Iterator[DeviceLoop]:
    loop = in_turns(plus, 2)
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
