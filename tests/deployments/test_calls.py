"""What the other side of a Ray call raises arrives as our own errors."""

from __future__ import annotations

import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.serve._private.common import DeploymentID  # the only way to make the exception
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.deployments.calls import translated
from serve_app.errors import InvalidRequest, NotReady, Overloaded, PartFailed, ReplicaLost


def test_our_own_error_comes_back_as_it_was_raised() -> None:
    original = InvalidRequest("too long", "prompt")
    wrapped = RayTaskError("edit", "traceback", original).as_instanceof_cause()
    with pytest.raises(InvalidRequest) as caught, translated("editor"):
        raise wrapped
    assert caught.value is original
    assert caught.value.param == "prompt"


def test_a_lost_replica_can_be_told_from_other_trouble() -> None:
    with pytest.raises(ReplicaLost) as caught, translated("editor"):
        raise ActorDiedError
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
