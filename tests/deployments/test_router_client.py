"""What a router leaves behind when it dies is taken up by the next."""

from __future__ import annotations

from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from serve_app.deployments.router_client import RouterClient
from serve_app.edits.result import PartialImage, Progress
from serve_app.errors import RouterLost
from tests.deployments.responses import Handle, Response

PLAN: Any = "a plan"
STEP = Progress(1, 1, 2)
DONE: Any = "the outcome"


def partial(attempt: int, index: int) -> PartialImage:
    return PartialImage(attempt, index, b"png")


async def streamed(handle: Handle) -> list[Any]:
    return [event async for event in RouterClient(handle).stream(PLAN, 2)]


async def test_an_edit_is_run_by_the_next_router() -> None:
    handle = Handle(run=[Response(ActorDiedError()), Response(DONE)])
    assert await RouterClient(handle).run(PLAN) == DONE
    assert [arguments for *_, arguments in handle.calls] == [(PLAN,), (PLAN,)]


async def test_two_routers_that_die_are_enough() -> None:
    handle = Handle(run=[Response(ActorDiedError()) for _ in range(3)])
    with pytest.raises(RouterLost):
        await RouterClient(handle).run(PLAN)
    assert len(handle.calls) == 2


async def test_a_stream_goes_on_and_repeats_no_partial_image() -> None:
    lost = Response(STEP, partial(1, 0), partial(1, 1), partial(2, 0), ActorDiedError())
    again = Response(STEP, partial(1, 0), partial(1, 1), partial(2, 0), partial(2, 1), DONE)
    events = await streamed(Handle(stream=[lost, again]))
    images = [(it.attempt, it.index) for it in events if isinstance(it, PartialImage)]
    assert images == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert events[-1] == DONE


async def test_a_stream_that_loses_two_routers_ends() -> None:
    with pytest.raises(RouterLost):
        await streamed(Handle(stream=[Response(ActorDiedError()) for _ in range(3)]))
