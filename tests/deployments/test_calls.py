"""What the other side of a Ray call raises arrives as our own errors."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from ray.exceptions import (
    ActorDiedError,
    NodeDiedError,
    OwnerDiedError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.serve._private.common import DeploymentID  # the only way to make the exception
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.deployments.calls import call, call_again, iterate, translated
from serve_app.errors import (
    InvalidRequest,
    NotReady,
    Overloaded,
    PartFailed,
    ReplicaLost,
    RouterLost,
)
from tests.deployments.responses import Response


def test_our_own_error_comes_back_as_it_was_raised() -> None:
    original = InvalidRequest("too long", "prompt")
    wrapped = RayTaskError("edit", "traceback", original).as_instanceof_cause()
    with pytest.raises(InvalidRequest) as caught, translated("editor"):
        raise wrapped
    assert caught.value is original
    assert caught.value.param == "prompt"


@pytest.mark.parametrize(
    "gone",
    [
        ActorDiedError(),
        NodeDiedError("gone"),
        OwnerDiedError("1" * 56, None, ""),
        WorkerCrashedError(),
    ],
    ids=lambda gone: type(gone).__name__,
)
def test_a_lost_replica_can_be_told_from_other_trouble(gone: Exception) -> None:
    with pytest.raises(ReplicaLost) as caught, translated("editor"):
        raise gone
    assert caught.value.status == 503
    assert caught.value.retry_after_s


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (BackPressureError(num_queued_requests=3, max_queued_requests=3), Overloaded),
        (DeploymentUnavailableError(DeploymentID(name="Editor")), NotReady),
    ],
)
def test_serve_refusing_a_call_is_a_reason_to_come_back(
    raised: Exception, expected: type[Exception]
) -> None:
    with pytest.raises(expected), translated("editor"):
        raise raised


def test_a_failure_on_the_other_side_keeps_its_text_there() -> None:
    wrapped = RayTaskError("edit", "traceback", ValueError("the prompt")).as_instanceof_cause()
    with pytest.raises(PartFailed) as caught, translated("editor"):
        raise wrapped
    assert "the prompt" not in str(caught.value)


def test_bugs_on_this_side_stay_bugs() -> None:
    with pytest.raises(ZeroDivisionError), translated("editor"):
        raise ZeroDivisionError


async def test_a_call_is_made_again_when_its_replica_dies() -> None:
    responses = iter([Response(ActorDiedError()), Response("edited")])
    assert await call_again("editor", lambda: next(responses)) == "edited"


async def test_a_call_that_takes_two_replicas_down_is_given_up() -> None:
    responses = iter([Response(ActorDiedError()) for _ in range(3)])
    with pytest.raises(ReplicaLost):
        await call_again("editor", lambda: next(responses))
    assert len(list(responses)) == 1


async def test_what_a_router_tells_of_a_lost_editor_is_no_loss_of_the_router() -> None:
    told = RayTaskError("run", "traceback", ReplicaLost("The editor stopped."))
    responses = iter([Response(told.as_instanceof_cause()), Response("edited")])
    with pytest.raises(ReplicaLost) as caught:
        await call_again("router", lambda: next(responses))
    assert not isinstance(caught.value, RouterLost)
    responses = iter([Response(ActorDiedError()), Response("edited")])
    assert await call_again("router", lambda: next(responses)) == "edited"


async def test_a_call_that_nobody_awaits_any_more_is_withdrawn() -> None:
    response = Response()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await call("editor", response)
    assert response.cancelled


async def test_a_stream_that_can_not_be_sent_is_a_reason_to_come_back() -> None:
    full = Response(BackPressureError(num_queued_requests=3, max_queued_requests=3))
    with pytest.raises(Overloaded):
        _ = [event async for event in iterate("editor", full)]


async def test_a_stream_that_is_left_is_withdrawn() -> None:
    responses = Response("step")
    async with aclosing(iterate("editor", responses)) as events:
        assert await anext(events) == "step"
        assert not responses.cancelled
    assert responses.cancelled
