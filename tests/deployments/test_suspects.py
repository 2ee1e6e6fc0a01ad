"""A request that kills replicas gets two of them, and takes nobody along."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable

import pytest
from ray.core.generated.common_pb2 import ActorDiedErrorContext
from ray.exceptions import ActorDiedError, ActorUnavailableError, NodeDiedError

from serve_app.deployments.suspects import Began, Suspects, run_again
from serve_app.errors import Quarantined, ReplicaLost
from tests.deployments.responses import Response


async def one_by_one(until: asyncio.Event, name: str) -> AsyncGenerator[str, None]:
    yield f"{name} runs"
    await until.wait()
    yield f"{name} is done"


async def test_suspects_begin_one_after_the_other() -> None:
    suspects, seen = Suspects(), []
    ends = {name: asyncio.Event() for name in "ab"}

    async def run(name: str) -> None:
        async for item in suspects.run(one_by_one(ends[name], name)):
            seen.append(f"{name} begins" if isinstance(item, Began) else item)

    first = asyncio.create_task(run("a"))
    second = asyncio.create_task(run("b"))
    while len(seen) < 2:
        await asyncio.sleep(0)
    ends["b"].set()
    await asyncio.sleep(0)
    assert seen == ["a begins", "a runs"]
    ends["a"].set()
    await asyncio.gather(first, second)
    assert seen[2:] == ["a is done", "b begins", "b runs", "b is done"]


async def test_one_that_is_left_makes_room_for_the_next_when_its_work_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serve_app.deployments.suspects._ENDS_WITHIN_S", 0.2)
    suspects = Suspects()
    left = suspects.run(one_by_one(asyncio.Event(), "a"))
    assert isinstance(await anext(left), Began)
    left_at = time.monotonic()
    await left.aclose()
    async with asyncio.timeout(5):
        assert isinstance(await anext(suspects.run(one_by_one(asyncio.Event(), "b"))), Began)
    assert time.monotonic() - left_at >= 0.2


def lost(cause: BaseException) -> ReplicaLost:
    loss = ReplicaLost("The editor stopped.", None, 1.0)
    loss.__cause__ = cause
    return loss


DIED = lost(ActorDiedError())


def sending(*responses: Response, sent: list[bool] | None = None) -> Callable[[bool], Response]:
    coming = iter(responses)

    def send(suspect: bool) -> Response:
        if sent is not None:
            sent.append(suspect)
        return next(coming)

    return send


async def outcome(send: Callable[[bool], Response], loss: ReplicaLost = DIED) -> list[object]:
    return [item async for item in run_again("editor", loss, send)]


async def test_one_that_did_no_harm_is_answered() -> None:
    assert await outcome(sending(Response(Began(), "step", "image"))) == ["step", "image"]


async def test_one_over_which_a_second_replica_dies_is_to_blame() -> None:
    with pytest.raises(Quarantined) as caught:
        await outcome(sending(Response(Began(), "step", ActorDiedError()), Response("never")))
    assert caught.value.status == 422
    assert not caught.value.retryable


async def test_one_that_was_waiting_goes_on_elsewhere() -> None:
    died = Response(ActorDiedError())
    assert await outcome(sending(died, died, Response(Began(), "image"))) == ["image"]


async def test_replicas_that_die_before_anything_begins_are_no_fault_of_it() -> None:
    died = Response(ActorDiedError())
    with pytest.raises(ReplicaLost) as caught:
        await outcome(sending(*[died] * 9))
    assert caught.value.retryable


WITH_ITS_NODE = ActorDiedError(
    ActorDiedErrorContext(
        actor_id=b"1" * 16, error_message="The actor died because its node has died. Node Id: 27d1"
    )
)


@pytest.mark.parametrize(
    "cause", [ActorUnavailableError("away", b"1" * 16), NodeDiedError("gone"), WITH_ITS_NODE]
)
async def test_a_lost_connection_makes_no_suspect(cause: Exception) -> None:
    sent: list[bool] = []
    assert await outcome(sending(Response("step", "image"), sent=sent), lost(cause)) == [
        "step",
        "image",
    ]
    assert sent == [False]


async def test_a_death_after_that_does() -> None:
    sent: list[bool] = []
    died, again = Response("step", ActorDiedError()), Response(Began(), ActorDiedError())
    with pytest.raises(Quarantined):
        await outcome(
            sending(died, again, sent=sent), lost(ActorUnavailableError("away", b"1" * 16))
        )
    assert sent == [False, True]
