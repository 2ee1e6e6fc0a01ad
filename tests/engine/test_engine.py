"""The engine as the service calls it: asynchronous, sized, bounded, cancellable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serve_app.config import EngineConfig, SchedulingConfig
from serve_app.edits.job import EditedImage, EditJob, EditorEvent, Preview, Queued, StepDone
from serve_app.edits.request import ExactSize
from serve_app.engine.canvas import Layout
from serve_app.engine.encode import prompt_length
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint
from serve_app.errors import (
    EditFailed,
    EditTooLarge,
    InvalidRequest,
    NotReady,
    Overloaded,
    TooManyImages,
)
from tests.engine.tasks import photo
from tests.engine.watched import FAULT, faulty

AREA = 64 * 64


@pytest.fixture(scope="module")
def small(plus: Checkpoint) -> Checkpoint:
    """The miniature on canvases of a quarter of the area: the shapes matter here, not the size."""
    return replace(plus, vae_area=AREA, condition_area=32 * 32)


@pytest.fixture(scope="module")
def engine(small: Checkpoint) -> Iterator[Engine]:
    engine = Engine(small, EngineConfig())
    yield engine
    engine.close()


@asynccontextmanager
async def running(checkpoint: Checkpoint, config: EngineConfig) -> AsyncIterator[Engine]:
    engine = Engine(checkpoint, config)
    try:
        yield engine
    finally:
        engine.close()


def job(width: int = 80, height: int = 60, *, steps: int = 2, **changes: object) -> EditJob:
    made = EditJob((photo(1, width, height),), "make it blue", " ", 1.0, steps, 3)
    return replace(made, **changes)  # type: ignore[arg-type]


# Sizes


@settings(max_examples=20, deadline=None)
@given(width=st.integers(32, 200), height=st.integers(32, 200), seed=st.integers(0, 2**63 - 1))
def test_a_result_has_exactly_the_size_of_its_input(
    engine: Engine, width: int, height: int, seed: int
) -> None:
    assume(max(width, height) <= 10 * min(width, height))
    edited = asyncio.run(engine.edit(job(width, height, steps=1, seed=seed)))
    assert edited.pixels.shape == (height, width, 3)
    assert edited.pixels.dtype == np.uint8
    assert edited.finite


async def test_the_first_of_several_images_sets_the_size(engine: Engine) -> None:
    images = (photo(1, 77, 51), photo(2, 40, 120), photo(3, 64, 64))
    edited = await engine.edit(job(images=images))
    assert edited.pixels.shape == (51, 77, 3)


async def test_native_is_the_working_canvas(engine: Engine) -> None:
    edited = await engine.edit(job(100, 50, size="native"))
    height, width, _ = edited.pixels.shape
    assert (width % 32, height % 32) == (0, 0)
    assert (width, height) == (96, 32)


@pytest.mark.parametrize("size", [ExactSize(33, 47), ExactSize(160, 40), ExactSize(80, 60)])
async def test_an_exact_size_is_exact(engine: Engine, size: ExactSize) -> None:
    edited = await engine.edit(job(size=size))
    assert edited.pixels.shape == (size.height, size.width, 3)


async def test_a_result_says_how_long_each_stage_took(engine: Engine) -> None:
    edited = await engine.edit(job())
    assert set(edited.seconds) == {"queue", "encode", "denoise", "decode"}
    assert all(seconds >= 0 for seconds in edited.seconds.values())


# Streams


async def test_a_stream_tells_every_step_its_previews_and_the_result(engine: Engine) -> None:
    wanted = job(81, 59, steps=6, partial_images=2)
    events = [event async for event in engine.stream(wanted)]
    # Previews are decoded beside the steps, and come after the step they show.
    kinds = [e.kind for e in events]
    assert sorted(kinds) == ["edited", *["preview"] * 2, *["step"] * 6]
    assert kinds.index("preview") >= 2
    assert kinds[-1] == "edited"
    assert [(e.step, e.total) for e in events if isinstance(e, StepDone)] == [
        (n, 6) for n in range(1, 7)
    ]
    previews = [e for e in events if isinstance(e, Preview)]
    assert [preview.index for preview in previews] == [0, 1]
    assert all(preview.pixels.shape == (59, 81, 3) for preview in previews)
    assert isinstance(events[-1], EditedImage)
    np.testing.assert_array_equal(events[-1].pixels, (await engine.edit(wanted)).pixels)


async def test_the_seed_alone_decides_between_two_results(engine: Engine) -> None:
    first, again, other = await asyncio.gather(*(engine.edit(job(seed=seed)) for seed in (5, 5, 6)))
    assert np.abs(first.pixels.astype(int) - again.pixels).max() <= 1
    assert not np.array_equal(first.pixels, other.pixels)


async def test_closing_a_stream_early_frees_its_place(small: Checkpoint) -> None:
    async with running(small, EngineConfig(max_batch_size=1, max_pending=2)) as engine:
        async with aclosing(engine.stream(job(steps=10_000))) as events:
            assert isinstance(await anext(events), StepDone)
        edited = await asyncio.wait_for(engine.edit(job()), timeout=60)
        assert edited.pixels.shape == (60, 80, 3)


async def test_cancelling_the_task_that_waits_frees_its_place(small: Checkpoint) -> None:
    async with (
        asyncio.timeout(60),
        running(small, EngineConfig(max_batch_size=2)) as engine,
        aclosing(engine.stream(job(steps=10_000))) as events,
    ):
        companion = asyncio.create_task(engine.edit(job(steps=10_000)))
        await until_shared_by(2, events)
        companion.cancel()
        with pytest.raises(asyncio.CancelledError):
            await companion
        await until_shared_by(1, events)


async def until_shared_by(requests: int, events: AsyncGenerator[EditorEvent, None]) -> None:
    async for event in events:
        if isinstance(event, StepDone) and event.batch_size == requests:
            return
    raise AssertionError(f"no step was shared by {requests}")


# Refusals


async def test_too_many_images_are_refused_before_anything_is_submitted(engine: Engine) -> None:
    steps = engine.loop.steps
    with pytest.raises(TooManyImages) as refusal:
        await engine.edit(job(images=(photo(1, 64, 64),) * 5))
    assert refusal.value.param == "image"
    assert "4" in refusal.value.message
    assert engine.loop.pending() == 0
    assert engine.loop.steps == steps


async def test_the_first_edit_family_takes_one_image(miniatures: dict[str, Checkpoint]) -> None:
    one = replace(miniatures["edit"], vae_area=AREA)
    async with running(one, EngineConfig()) as engine:
        edited = await engine.edit(job(75, 45))
        assert edited.pixels.shape == (45, 75, 3)
        with pytest.raises(TooManyImages):
            await engine.edit(job(images=(photo(1, 64, 64),) * 2))


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
async def test_a_prompt_beyond_the_rotary_tables_is_refused_without_a_step(
    engine: Engine, field: str
) -> None:
    steps = engine.loop.steps
    with pytest.raises(InvalidRequest) as refusal:
        await engine.edit(job(**{field: "图" * 4_000}))
    assert refusal.value.param == "prompt"
    assert engine.loop.steps == steps


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
@pytest.mark.parametrize("token", ["<|image_pad|>", "<|video_pad|>", "<|im_end|>"])
async def test_a_token_that_the_model_reserves_is_refused_without_a_step(
    engine: Engine, field: str, token: str
) -> None:
    """In a prompt it would pass for a second picture, or for the end of the user's turn."""
    steps = engine.loop.steps
    with pytest.raises(InvalidRequest) as refusal:
        await engine.edit(job(**{field: f"write {token} on it"}))
    assert refusal.value.param == field
    assert engine.loop.steps == steps


async def test_braces_and_bars_in_a_prompt_are_just_text(engine: Engine) -> None:
    assert (await engine.edit(job(prompt="{} {0} {x} <|any|> %s \\n"))).finite


async def test_the_longest_prompt_that_is_accepted_works(engine: Engine, small: Checkpoint) -> None:
    """The tokenizer has one token per byte, so the limit can be met exactly."""
    wide = job(200, 20, prompt="", negative_prompt="", steps=1)
    task = Layout.of(wide, small).task(wide)
    room = small.token_capacity - prompt_length(small, task)
    edited = await engine.edit(replace(wide, prompt="x" * room))
    assert edited.finite
    with pytest.raises(InvalidRequest):
        await engine.edit(replace(wide, prompt="x" * (room + 1)))


async def test_a_full_queue_is_overloaded_and_says_when_to_come_back(small: Checkpoint) -> None:
    async with (
        running(small, EngineConfig(max_pending=1)) as engine,
        aclosing(engine.stream(job(steps=10_000))) as events,
    ):
        await anext(events)
        with pytest.raises(Overloaded) as refusal:
            await engine.edit(job())
        assert refusal.value.retry_after_s is not None
        assert refusal.value.retry_after_s >= 1


async def test_a_burst_cannot_slip_past_the_queue_limit(small: Checkpoint) -> None:
    """All ask before the first has reached the device thread."""
    async with running(small, EngineConfig(max_pending=3)) as engine:
        outcomes = await asyncio.gather(
            *(engine.edit(job()) for _ in range(10)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [EditedImage] * 3 + [Overloaded] * 7


async def test_a_full_queue_says_when_it_is_done_by_the_measured_steps(small: Checkpoint) -> None:
    async with (
        asyncio.timeout(60),
        running(small, EngineConfig(max_pending=1)) as engine,
        aclosing(engine.stream(job(steps=10**6))) as events,
    ):
        async for _ in events:
            if engine.drain_s() > 1.0:  # three steps have been measured
                break
        with pytest.raises(Overloaded) as refusal:
            await engine.edit(job())
        assert refusal.value.retry_after_s is not None
        assert refusal.value.retry_after_s > 100
    assert engine.drain_s() == 1.0


async def test_those_who_wait_are_told_their_place_first(small: Checkpoint) -> None:
    # However much the first has left to do, the second is not to overtake it.
    config = EngineConfig(max_batch_size=1, scheduling=SchedulingConfig(priority_s=1e6))
    async with (
        running(small, config) as engine,
        aclosing(engine.stream(job(steps=10_000, priority=9))) as first,
    ):
        await anext(first)
        async with aclosing(engine.stream(job(priority=0))) as waiting:
            place = await asyncio.wait_for(anext(waiting), timeout=60)
            assert isinstance(place, Queued)
            assert place.position == 1
            await first.aclose()
            kinds = [event.kind async for event in waiting]
        assert kinds == ["step", "step", "edited"]


# Liveness


async def test_the_event_loop_runs_on_while_the_device_works(engine: Engine) -> None:
    beats = 0

    async def heartbeat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.001)
            beats += 1

    heart = asyncio.create_task(heartbeat())
    await engine.edit(job(400, 300, steps=20))
    heart.cancel()
    assert beats >= 20


async def test_an_engine_that_fails_every_edit_is_not_healthy_until_one_succeeds(
    small: Checkpoint,
) -> None:
    broken = [True]

    def fault(args: object, call: object) -> None:
        if broken[0]:
            raise RuntimeError(FAULT)

    async with running(faulty(small, "transformer", fault), EngineConfig(max_failures=2)) as engine:
        for _ in range(2):
            await engine.check()
            with pytest.raises(EditFailed):
                await engine.edit(job())
        with pytest.raises(NotReady):
            await engine.check()
        broken[0] = False
        await engine.edit(job())
        await engine.check()


async def test_edits_too_large_for_the_device_leave_the_engine_healthy(small: Checkpoint) -> None:
    config = EngineConfig(max_failures=1, memory_bytes=1000)
    async with running(small, config) as engine:
        with pytest.raises(EditTooLarge) as refusal:
            await engine.edit(job())
        assert refusal.value.status == 422
        await engine.check()
        assert engine.load_figures()["pending"] == 0


async def test_a_working_engine_passes_its_check_and_a_closed_one_does_not(
    small: Checkpoint,
) -> None:
    engine = Engine(small, EngineConfig())
    try:
        await engine.check()
        await engine.edit(job())
        await engine.check()
    finally:
        engine.close()
    with pytest.raises(NotReady):
        await engine.check()
    with pytest.raises(NotReady):
        await engine.edit(job())


def test_warming_up_runs_one_edit_to_its_end(small: Checkpoint) -> None:
    engine = Engine(small, EngineConfig())
    try:
        engine.warm_up()
        assert engine.loop.steps == 1
    finally:
        engine.close()
    with pytest.raises(NotReady):
        engine.warm_up()
