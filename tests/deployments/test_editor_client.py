"""An attempt whose editor dies is run once more; what the caller has seen is not told again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

from serve_app.deployments.affinity import ELSEWHERE
from serve_app.deployments.editor_client import EditorClient
from serve_app.deployments.suspects import Began
from serve_app.edits.job import EditedImage, EditJob, Preview, Queued, StepDone
from serve_app.errors import Overloaded, Quarantined, ReplicaLost
from tests.deployments.responses import Handle, Response

PIXELS = np.zeros((8, 8, 3), np.uint8)
IMAGE = EditedImage(PIXELS, finite=True)
JOB = EditJob((PIXELS,), "x", " ", 1.0, 2, 0, subject_id="img-1")
FULL = RayTaskError("edit", "traceback", Overloaded("Full.", None, 1.0)).as_instanceof_cause()


def preview(index: int) -> Preview:
    return Preview(index, PIXELS)


async def streamed(handle: Handle) -> list[Any]:
    return [event async for event in EditorClient(handle, several=True).stream(JOB)]


async def test_an_attempt_is_run_where_its_image_is() -> None:
    handle = Handle(edit=[Response(IMAGE)])
    assert await EditorClient(handle, several=True).edit(JOB) is IMAGE
    assert handle.calls == [("edit", "img-1", (JOB,))]


async def test_one_whose_editor_dies_is_run_again_elsewhere_as_it_was() -> None:
    handle = Handle(edit=[Response(ActorDiedError())], again=[Response(Began(), IMAGE)])
    assert await EditorClient(handle, several=True).edit(JOB) is IMAGE
    assert handle.calls[1] == ("again", "img-1" + ELSEWHERE, (JOB, True))


async def test_one_over_which_two_editors_die_is_refused() -> None:
    handle = Handle(edit=[Response(ActorDiedError())], again=[Response(Began(), ActorDiedError())])
    with pytest.raises(Quarantined):
        await EditorClient(handle, several=True).edit(JOB)


async def test_a_full_editor_is_passed_over_where_there_are_several() -> None:
    handle = Handle(edit=[Response(FULL), Response(IMAGE)])
    assert await EditorClient(handle, several=True).edit(JOB) is IMAGE
    assert [session for _, session, _ in handle.calls] == ["img-1", "img-1" + ELSEWHERE]
    with pytest.raises(Overloaded):
        await EditorClient(Handle(edit=[Response(FULL)]), several=False).edit(JOB)


async def test_a_stream_begins_again() -> None:
    lost = Response(Queued(1, None), StepDone(1, 2, 1), preview(0), ActorDiedError())
    again = Response(Began(), StepDone(1, 2, 1), preview(0), preview(1), IMAGE)
    events = await streamed(Handle(stream=[lost], again=[again]))
    assert [event.index for event in events if isinstance(event, Preview)] == [0, 0, 1]
    assert events[-1] is IMAGE
    assert Began() not in events


async def test_what_is_run_again_has_only_the_time_that_is_left() -> None:
    job = replace(JOB, deadline_s=60.0)
    handle = Handle(edit=[Response(ActorDiedError())], again=[Response(Began(), IMAGE)])
    await EditorClient(handle, several=True).edit(job)
    ((_, _, (again, _)),) = handle.calls[1:]
    assert isinstance(again, EditJob)
    assert again.deadline_s is not None
    assert 50 < again.deadline_s < 60


async def test_a_full_editor_is_passed_over_by_streams() -> None:
    events = await streamed(Handle(stream=[Response(FULL), Response(Queued(0, None), IMAGE)]))
    assert events[-1] is IMAGE


async def test_a_lost_connection_is_nobodys_fault() -> None:
    cut = Response(Began(), ActorUnavailableError("gone for a moment", b"1" * 16))
    handle = Handle(edit=[Response(ActorDiedError())], again=[cut, Response(Began(), IMAGE)])
    assert await EditorClient(handle, several=True).edit(JOB) is IMAGE


async def test_who_leaves_withdraws_the_second_run_too() -> None:
    waiting = Response()
    handle = Handle(edit=[Response(ActorDiedError())], again=[waiting])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await EditorClient(handle, several=True).edit(JOB)
    assert waiting.cancelled


async def test_editors_that_never_come_to_it_are_given_up() -> None:
    died = [Response(ActorDiedError()) for _ in range(9)]
    with pytest.raises(ReplicaLost):
        await EditorClient(Handle(edit=died[:1], again=died[1:]), several=True).edit(JOB)
