"""Where Serve sends edits when there are several editors."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import numpy as np
import pytest

from serve_app.config import Replicas
from serve_app.deployments.editor import EditorClient
from serve_app.deployments.options import editor_options
from serve_app.edits.job import EditJob, Queued
from serve_app.errors import Overloaded
from tests.conftest import Service

pytestmark = pytest.mark.cluster

PIXELS = np.zeros((32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def replicas(service: Service) -> Iterator[Any]:
    """A handle to two replicas with the editor's methods, which answer with their name."""
    from ray import serve

    @serve.deployment(name="Editor")
    class Named:
        def __init__(self) -> None:
            self._name = uuid.uuid4().hex
            self._mood = "well"

        async def become(self, mood: str) -> None:
            self._mood = mood

        async def describe(self) -> str:
            return self._name

        async def edit(self, job: EditJob) -> str:
            if self._mood == "full":
                raise Overloaded("The queue is full.", None, 7.0)
            if self._mood == "doomed":
                os._exit(3)
            return self._name

        async def stream(self, job: EditJob) -> AsyncGenerator[Any, None]:
            yield Queued(1, None)
            yield await self.edit(job)

    options = editor_options(Replicas(num_cpus=0.01, min=2, max=2), 1.0)
    yield serve.run(Named.options(**options).bind(), name="named", route_prefix=None)
    serve.delete("named")


@pytest.fixture
def editors(replicas: Any) -> Any:
    replicas.broadcast("become", "well").results()
    return replicas


def job(subject: int) -> EditJob:
    return EditJob((PIXELS,), "x", " ", 1.0, 1, 0, subject_id=f"img-{subject:064x}")


async def tell(editors: Any, subject: int, mood: str) -> None:
    """Say to the replica that has this subject's edits how it is."""
    session = job(subject).subject_id
    await editors.options(method_name="become", session_id=session).remote(mood)


async def test_edits_of_one_image_meet_and_those_of_many_spread(editors: Any) -> None:
    client = EditorClient(editors, several=True)
    homes = {subject: await client.edit(job(subject)) for subject in range(24)}
    assert len(set(homes.values())) == 2
    # Another router process has a client of its own.
    other = EditorClient(editors, several=True)
    for subject, home in homes.items():
        assert await other.edit(job(subject)) == home
        *_, streamed = [event async for event in other.stream(job(subject))]
        assert streamed == home


async def test_questions_about_the_model_go_to_all(editors: Any) -> None:
    answers = {await EditorClient(editors, several=True).describe() for _ in range(30)}
    assert len(answers) == 2


async def test_a_full_replica_hands_its_edits_to_the_next(editors: Any) -> None:
    client = EditorClient(editors, several=True)
    home = await client.edit(job(1))
    await tell(editors, 1, "full")
    second = await client.edit(job(1))
    assert second != home
    *_, streamed = [event async for event in client.stream(job(1))]
    assert streamed == second
    with pytest.raises(Overloaded):
        await EditorClient(editors, several=False).edit(job(1))


async def test_when_all_are_full_the_caller_is_told(editors: Any) -> None:
    client = EditorClient(editors, several=True)
    homes = {await client.edit(job(subject)): subject for subject in range(24)}
    for subject in homes.values():
        await tell(editors, subject, "full")
    with pytest.raises(Overloaded) as caught:
        await client.edit(job(1))
    assert caught.value.retry_after_s == 7.0


async def test_an_edit_survives_the_death_of_its_replica(editors: Any) -> None:
    client = EditorClient(editors, several=True)
    home = await client.edit(job(1))
    await tell(editors, 1, "doomed")
    assert await client.edit(job(1)) != home
