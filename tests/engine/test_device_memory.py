"""Admission by memory: what can't fit is refused, the rest waits its turn, all is given back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.config import EngineConfig
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.device_memory import DeviceMemory, is_out_of_memory
from serve_app.engine.encode import compatibility_key
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasTask, CompatibilityKey, Ticket
from serve_app.errors import EditFailed, EditTooLarge
from tests.engine.loops import in_turns
from tests.engine.watched import (
    SQUARE,
    WIDE,
    Watched,
    alone,
    assert_same,
    faulty,
    raising,
    small,
)

HUGE = 10**15


def sized(plus: Checkpoint, job: CanvasTask) -> tuple[CanvasTask, CompatibilityKey]:
    return job, compatibility_key(plus, job)


def admits(plus: Checkpoint, budget: int, job: CanvasTask) -> bool:
    try:
        DeviceMemory(plus, budget).check(*sized(plus, job))
    except EditTooLarge:
        return False
    return True


def least_budget(plus: Checkpoint, job: CanvasTask) -> int:
    """The smallest budget in which ``job`` is admitted, by bisection."""
    low, high = 1, HUGE
    while low < high:
        middle = (low + high) // 2
        if admits(plus, middle, job):
            high = middle
        else:
            low = middle + 1
    return low


def is_empty(loop: DeviceLoop, plus: Checkpoint) -> bool:
    """Whether nothing is held: only then there is room for what is over any budget.

    To be asked of a closed loop: a result is there a moment before its room is given back.
    """
    return loop.memory.has_room(*sized(plus, small(plus, size=(1024, 1024))))


# Estimates


def test_without_a_budget_everything_is_admitted(plus: Checkpoint) -> None:
    memory = DeviceMemory(plus, None)
    job = sized(plus, small(plus))
    memory.check(*job)
    for _ in range(100):
        assert memory.has_room(*job)
        memory.hold(*job)
    assert memory.fits(10**9, 64)


def test_larger_edits_need_more(plus: Checkpoint) -> None:
    square, wide = small(plus), small(plus, size=WIDE)
    two = replace(square, references=square.references * 2, conditions=square.conditions * 2)
    guided = small(plus, scale=4.0)
    needed = least_budget(plus, square)
    assert all(least_budget(plus, larger) > needed for larger in (wide, two, guided))


@pytest.mark.parametrize(("pictures", "named"), [(1, "1 image at"), (3, "3 images at")])
def test_a_refusal_names_the_size(plus: Checkpoint, pictures: int, named: str) -> None:
    job = small(plus, size=WIDE)
    job = replace(job, references=job.references * pictures, conditions=job.conditions * pictures)
    with pytest.raises(EditTooLarge, match=named) as refusal:
        DeviceMemory(plus, 1000).check(*sized(plus, job))
    assert "96x64" in refusal.value.message
    assert refusal.value.status == 422


def test_tiles_need_less_than_the_whole_picture(plus: Checkpoint) -> None:
    """Decoding is the peak of a large canvas, unless it is done in tiles."""
    large = small(plus, size=(2048, 2048))
    pipeline = plus.pipeline
    whole = least_budget(plus, large)
    pipeline.vae.enable_tiling()
    try:
        assert least_budget(plus, large) < whole
    finally:
        pipeline.vae.disable_tiling()


@given(rows=st.lists(st.integers(1, 8), min_size=1, max_size=20), failed=st.integers(1, 8))
def test_a_size_that_failed_never_fits_again(
    plus: Checkpoint, rows: list[int], failed: int
) -> None:
    memory = DeviceMemory(plus, None)
    memory.failed(100 * failed)
    memory.failed(100 * (failed + 3))  # a larger failure teaches nothing
    assert memory.largest_step == 100 * failed
    for count in rows:
        assert memory.fits(100, count) == (count < failed)
        assert memory.fits(100 * count, 1) == (count < failed)


def test_an_edit_whose_row_alone_has_failed_is_refused(plus: Checkpoint) -> None:
    square, wide = sized(plus, small(plus)), sized(plus, small(plus, size=WIDE))
    memory = DeviceMemory(plus, None)
    memory.failed(1)  # a step of several may have met a bad moment: nobody is refused for it
    memory.failed(square[1].tokens + 1, alone=True)
    memory.check(*square)
    with pytest.raises(EditTooLarge, match="96x64"):
        memory.check(*wide)
    memory.failed(square[1].tokens, alone=True)
    with pytest.raises(EditTooLarge, match="64x64"):
        memory.check(*square)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=40))
def test_what_was_given_back_is_as_if_it_had_never_been_held(
    plus: Checkpoint, turns: list[tuple[bool, int]]
) -> None:
    """In whatever order edits come and go, beside one that stays."""
    kinds = [
        sized(plus, small(plus, size=size, scale=scale))
        for size in (SQUARE, WIDE)
        for scale in (1.0, 4.0)
    ]
    # Budgets from too little room to plenty, so that some answers hang by the last byte.
    needed = least_budget(plus, kinds[3][0])
    memories = [DeviceMemory(plus, needed + n * needed // 40) for n in range(12)]

    def answers() -> list[bool]:
        rooms = [memory.has_room(*kind) for memory in memories for kind in kinds]
        steps = [memory.fits(kind[1].tokens, 1) for memory in memories for kind in kinds]
        return rooms + steps

    for memory in memories:
        memory.hold(*kinds[0])
    before = answers()
    held = []
    for comes, which in turns:
        if not comes and held:
            gone = held.pop(which % len(held))
            for memory in memories:
                memory.release(*gone)
        elif comes:
            held.append(kinds[which])
            for memory in memories:
                memory.hold(*kinds[which])
    for each in held:
        for memory in memories:
            memory.release(*each)
    assert answers() == before
    assert len(set(before)) == 2


def test_holding_from_many_threads_loses_nothing(plus: Checkpoint) -> None:
    job = sized(plus, small(plus))
    memory = DeviceMemory(plus, least_budget(plus, job[0]))

    def come_and_go() -> None:
        for _ in range(2000):
            memory.hold(*job)
            memory.release(*job)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.has_room(*sized(plus, small(plus, size=(1024, 1024))))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([SQUARE, WIDE]), st.booleans()), max_size=30))
def test_what_is_held_and_what_a_step_takes_never_exceed_the_budget(
    plus: Checkpoint, crowd: list[tuple[tuple[int, int], bool]]
) -> None:
    """A step of one row of each held edit fits, as long as there was room for all of them."""
    budget = 3 * least_budget(plus, small(plus, size=WIDE, scale=4.0))
    memory = DeviceMemory(plus, budget)
    held: list[tuple[CanvasTask, CompatibilityKey]] = []
    for size, guided in crowd:
        job = sized(plus, small(plus, size=size, scale=4.0 if guided else 1.0))
        if memory.has_room(*job):
            memory.hold(*job)
            held.append(job)
        assert all(memory.fits(key.tokens, 1) for _, key in held)
    for job in held:
        memory.release(*job)
    assert memory.has_room(*sized(plus, small(plus, size=(1024, 1024))))


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 80 bytes"), True),
        (RuntimeError("CUDA error: an illegal memory access"), False),
        (ValueError("memory"), False),
    ],
)
def test_only_failed_allocations_are_shortages(error: Exception, short: bool) -> None:
    assert is_out_of_memory(error) == short


def test_what_the_cpu_raises_is_a_shortage() -> None:
    with pytest.raises(RuntimeError) as shortage:
        torch.empty(2**50)
    assert is_out_of_memory(shortage.value)


# In the loop


def test_an_edit_over_the_budget_is_refused_and_costs_nothing(plus: Checkpoint) -> None:
    budget = least_budget(plus, small(plus, size=WIDE)) - 1
    loop = DeviceLoop(plus, EngineConfig(memory_bytes=budget))
    try:
        with pytest.raises(EditTooLarge, match="96x64"):
            loop.submit(Ticket(small(plus, size=WIDE), None))
        assert (loop.pending(), loop.steps, loop.encoders.encoded.images) == (0, 0, 0)
        assert alone(loop, small(plus)).isfinite().all()
    finally:
        loop.close()


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("times", [1.0, 1.5, 4.0])
def test_those_without_room_wait_and_all_finish(
    plus: Checkpoint, beside: bool, times: float
) -> None:
    largest = small(plus, size=WIDE, scale=4.0)
    budget = int(times * least_budget(plus, largest))
    loop = DeviceLoop(plus, EngineConfig(memory_bytes=budget), beside=beside)
    healthy = in_turns(plus, 1)
    jobs = [
        small(plus, "x" * n, size=(SQUARE, WIDE)[n % 2], scale=(1.0, 4.0)[n // 2 % 2], seed=n)
        for n in range(8)
    ]
    crowd = [Watched(job) for job in jobs]
    try:
        for watched in crowd:
            loop.submit(watched.ticket)
        # All of them before the other loop decodes: a VAE serves one decoder at a time.
        results = [watched.result().latents for watched in crowd]
        for latents, job in zip(results, jobs, strict=True):
            assert_same(latents, alone(healthy, job))
    finally:
        loop.close()
        healthy.close()
    assert loop.pending() == 0
    assert is_empty(loop, plus)


def cancelled(watched: Watched) -> None:
    watched.at[1] = watched.ticket.future.cancel


def listener_fails(watched: Watched) -> None:
    def fault() -> None:
        raise ValueError

    watched.at[2] = fault


@pytest.mark.parametrize("fate", [lambda _: None, cancelled, listener_fails])
@pytest.mark.parametrize("beside", [False, True])
def test_room_is_given_back_however_an_edit_ends(
    plus: Checkpoint, beside: bool, fate: Callable[[Watched], None]
) -> None:
    budget = least_budget(plus, small(plus))
    loop = DeviceLoop(plus, EngineConfig(memory_bytes=budget), beside=beside)
    crowd = [Watched(small(plus, seed=n)) for n in range(4)]
    try:
        for watched in crowd:
            fate(watched)
            loop.submit(watched.ticket)
        last = Watched(small(plus, seed=9))
        loop.submit(last.ticket)
        assert last.result().finite
        assert all(watched.ticket.future.done() for watched in crowd)
    finally:
        loop.close()
    assert is_empty(loop, plus)


@pytest.mark.parametrize("stage", ["text_encoder", "vae.encoder", "transformer", "vae.decoder"])
@pytest.mark.parametrize("error", [RuntimeError("broken"), torch.OutOfMemoryError("short")])
def test_room_is_given_back_after_a_failure_in_any_stage(
    plus: Checkpoint, stage: str, error: Exception
) -> None:
    budget = least_budget(plus, small(plus))
    config: dict[str, Any] = {"memory_bytes": budget}
    loop = DeviceLoop(faulty(plus, stage, raising(error)), EngineConfig(**config))
    try:
        ticket = Ticket(small(plus), None)
        loop.submit(ticket)
        expected = EditTooLarge if is_out_of_memory(error) else EditFailed
        assert type(ticket.future.exception(timeout=120)) is expected
    finally:
        loop.close()
    assert loop.pending() == 0
    assert is_empty(loop, plus)
