"""The events of a job: kept ones, live ones, and going on after a break."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

import pytest

from serve_app.errors import NotFound
from tests.api.conftest import JOBS, STEPS, Surface, check_error
from tests.api.job_client import (
    FAILING,
    Event,
    LeavingReader,
    accepted,
    chain,
    read,
    start,
    states,
    steer,
    watched,
)


@pytest.fixture
async def running(surface: Surface) -> Surface:
    return await start(surface)


def _is_progress(event: Event) -> bool:
    return event.name == "progress"


async def test_kept_events_have_growing_ids_and_live_ones_none(running: Surface) -> None:
    asked = [{"prompt": "x"}, {"prompt": "y"}]
    events = await watched(running, await chain(running, *asked, partial_images=1))
    kept = [event for event in events if event.id is not None]
    ids = [event.id for event in kept]
    assert ids == sorted(set(ids))
    assert {event.name for event in kept} == {"state", "step"}
    assert {event.name for event in events if event.id is None} == {"progress", "preview"}
    assert states(events) == ["queued", "running", "succeeded"]
    steps = [(e.data["index"], e.data["state"]) for e in kept if e.name == "step"]
    assert steps == [(i, state) for i in (0, 1) for state in ("running", "succeeded")]
    progress = [e.data for e in events if e.name == "progress" and e.data["index"] == 0]
    assert [facts["step"] for facts in progress] == [*range(1, STEPS + 1)]
    (preview,) = (e.data for e in events if e.name == "preview" and e.data["index"] == 1)
    assert preview["b64_json"].startswith("iVBOR")
    assert events[-1].data["state"] == "succeeded"


async def test_steps_are_told_as_they_are_read(running: Surface) -> None:
    job = await accepted(running)
    told = [event.data for event in await watched(running, job) if event.name == "step"]
    assert told[-1] == (await read(running, job))["steps"][0]


async def test_every_kept_event_may_be_gone_on_from(surface: Surface) -> None:
    job = await chain(surface, {"prompt": "x"}, {"prompt": "y"})
    await accepted(surface)
    await steer(surface, job, "cancel")
    events = await watched(surface, job)
    assert [event.name for event in events] == ["state", "step", "step", "state"]
    assert await watched(surface, job, 0) == events
    for count, event in enumerate(events[:-1], 1):
        assert await watched(surface, job, event.id) == events[count:]


async def test_after_the_last_event_a_stream_ends_at_once(surface: Surface) -> None:
    job = await accepted(surface)
    await steer(surface, job, "cancel")
    last = (await watched(surface, job))[-1]
    assert await watched(surface, job, last.id) == []
    assert await watched(surface, job, 10**17) == []


async def test_a_long_stream_of_an_ended_job_is_told_to_its_end(surface: Surface) -> None:
    job = await accepted(surface, items=[{}] * 600)
    await steer(surface, job, "cancel")
    events = await watched(surface, job)
    assert len(events) == 602
    assert await watched(surface, job, events[0].id) == events[1:]


async def test_a_reader_that_left_goes_on_where_it_stopped(running: Surface) -> None:
    running.service.block = asyncio.Event()
    job = await chain(running, {"prompt": "x"}, {"prompt": "y"})
    reader = LeavingReader(running, job, _is_progress)
    first = [event for event in await reader.read() if event.id is not None]
    assert states(first) == ["queued", "running"]
    running.service.block.set()
    rest = [e for e in await watched(running, job, first[-1].id) if e.id is not None]
    assert first + rest == [e for e in await watched(running, job) if e.id is not None]
    assert states(first + rest) == ["queued", "running", "succeeded"]


async def test_who_comes_late_is_told_how_far_a_step_is(running: Surface) -> None:
    running.service.block = asyncio.Event()
    job = await accepted(running)
    for _ in range(2):
        late = await LeavingReader(running, job, _is_progress).read()
        assert late[-1].data["step"] == 1
    running.service.block.set()
    await watched(running, job)


async def test_a_stream_ends_with_a_job_that_never_ran(surface: Surface) -> None:
    job = await accepted(surface)
    reading = asyncio.create_task(watched(surface, job))
    await LeavingReader(surface, job, lambda event: event.name == "state").read()
    await steer(surface, job, "cancel")
    assert states(await reading) == ["queued", "cancelled"]


async def test_so_many_watch_and_no_more(surface: Surface) -> None:
    job = await accepted(surface)
    path = job["links"]["events"]
    for _ in range(2):  # whoever has left takes no place
        await LeavingReader(surface, job, lambda event: event.name == "state").read()
    reading = [asyncio.create_task(surface.client.get(path)) for _ in range(JOBS.watchers + 1)]
    (refused,), others = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
    check_error(refused.result(), 429, "overloaded")
    assert int(refused.result().headers["retry-after"]) > 0
    await steer(surface, job, "cancel")
    assert [(await each).status_code for each in others] == [200] * JOBS.watchers
    assert states(await watched(surface, job)) == ["queued", "cancelled"]


async def test_a_job_that_is_run_again_is_one_story(running: Surface) -> None:
    job = await chain(running, FAILING)
    first = await watched(running, job)
    await steer(running, job, "retry")
    second = await watched(running, job, first[-1].id)
    assert states(second) == ["queued", "running", "failed"]
    assert await watched(running, job) == first + second


async def test_a_stream_ends_with_the_erasure_of_its_job(surface: Surface) -> None:
    job = await accepted(surface)
    async with asyncio.timeout(10), aclosing(surface.jobs.events(job["id"], 0)) as events:
        await anext(events)
        await surface.client.delete(job["links"]["self"])
        with suppress(NotFound):
            async for _ in events:
                pass
