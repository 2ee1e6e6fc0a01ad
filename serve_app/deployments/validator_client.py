"""The validators as the workflow sees them: one that judges, and another if that one dies."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from serve_app.deployments.calls import call
from serve_app.deployments.suspects import run_again
from serve_app.errors import PartFailed, ReplicaLost
from serve_app.quality.annotation import Judged
from serve_app.quality.case import Case
from serve_app.quality.repair import Mended


class ValidatorClient:
    """The validators behind a Serve handle, as the workflow's ``Judge``.

    Raises ``Quarantined`` for pictures over which two of them died.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def mend(self, case: Case) -> Mended:
        return await self._answer("mend", case)

    async def judge(self, case: Case, picture: bool) -> Judged:
        return await self._answer("judge", case, picture)

    async def _answer(self, method: str, *arguments: Any) -> Any:
        try:
            return await call("validator", getattr(self._handle, method).remote(*arguments))
        except ReplicaLost as loss:
            again = self._handle.options(method_name="again", stream=True)

            def send(suspect: bool) -> Any:
                return again.remote(suspect, method, *arguments)

            async with aclosing(run_again("validator", loss, send)) as answers:
                async for answer in answers:
                    return answer
        raise PartFailed("The validator ended without an answer.")
