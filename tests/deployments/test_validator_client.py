"""Pictures over which a validator dies are judged once more, and no third time."""

from __future__ import annotations

from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from serve_app.deployments.suspects import Began
from serve_app.deployments.validator_client import ValidatorClient
from serve_app.errors import Quarantined
from tests.deployments.responses import Handle, Response

CASE: Any = "a case"


async def test_another_validator_judges_what_one_died_over() -> None:
    handle = Handle(judge=[Response(ActorDiedError())], again=[Response(Began(), "judged")])
    answer: Any = await ValidatorClient(handle).judge(CASE, picture=True)
    assert answer == "judged"
    assert handle.calls[1] == ("again", "", (True, "judge", CASE, True))


async def test_one_that_kills_two_is_refused() -> None:
    handle = Handle(mend=[Response(ActorDiedError())], again=[Response(Began(), ActorDiedError())])
    with pytest.raises(Quarantined):
        await ValidatorClient(handle).mend(CASE)
