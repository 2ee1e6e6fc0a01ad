"""Jobs are steered: cancelled, run again, forked, erased."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from serve_app.errors import EditFailed
from tests.api.conftest import Surface, check_error, data_url
from tests.api.job_client import (
    FAILING,
    OTHER,
    Json,
    accepted,
    at_work,
    chain,
    ended,
    ids_of,
    listed,
    read,
    start,
    states,
    steer,
    stored,
    watched,
)


@pytest.fixture
async def running(surface: Surface) -> Surface:
    return await start(surface)


class TestCancelling:
    async def test_a_queued_job_never_runs(self, surface: Surface) -> None:
        job = await chain(surface, {"prompt": "x"}, {"prompt": "y"})
        response = await steer(surface, job, "cancel")
        assert response.status_code == 200
        cancelled = response.json()
        assert cancelled == await read(surface, job)
        assert cancelled["state"] == "cancelled"
        assert cancelled["finished_at"] is not None
        assert [step["state"] for step in cancelled["steps"]] == ["cancelled", "cancelled"]
        surface.jobs.start()
        await surface.jobs.launched()
        # One user's jobs of the same priority run in the order in which they came.
        await ended(surface, await accepted(surface, prompt="the next"))
        assert [request.prompt for request in surface.service.requests] == ["the next"]
        assert (await read(surface, job)) == cancelled

    async def test_a_running_edit_stops(self, running: Surface) -> None:
        running.service.block = asyncio.Event()
        job = await chain(running, {"prompt": "x"}, {"prompt": "y"})
        await at_work(running, job)
        response = await steer(running, job, "cancel")
        assert (response.status_code, response.json()["state"]) == (200, "cancelled")
        assert states(await watched(running, job)) == ["queued", "running", "cancelled"]
        while not running.service.cancelled:
            await asyncio.sleep(0)
        assert len(running.service.requests) == 1
        running.service.block.set()
        assert (await ended(running, await accepted(running)))["state"] == "succeeded"
        assert (await read(running, job))["state"] == "cancelled"

    async def test_only_what_has_not_ended(self, running: Surface) -> None:
        cancelled, done = await accepted(running, items=[{}]), await accepted(running)
        await steer(running, cancelled, "cancel")
        await ended(running, done)
        for job in (cancelled, done):
            before = await read(running, job)
            check_error(await steer(running, job, "cancel"), 409, "wrong_state")
            assert await read(running, job) == before


class TestRetrying:
    async def test_what_has_succeeded_is_not_made_again(self, running: Surface) -> None:
        failed = await ended(running, await chain(running, {"prompt": "x"}, FAILING))
        assert failed["state"] == "failed"
        response = await steer(running, failed, "retry")
        assert response.status_code == 202
        assert response.headers["location"] == failed["links"]["self"]
        again = response.json()
        assert (again["id"], again["state"], again["error"]) == (failed["id"], "queued", None)
        assert [step["state"] for step in again["steps"]] == ["succeeded", "queued"]
        assert again["steps"][0] == failed["steps"][0]
        await ended(running, failed)
        assert len(running.service.requests) == 1

    async def test_a_failed_job_may_succeed(self, running: Surface) -> None:
        running.service.failure = EditFailed("No.")
        job = await accepted(running)
        assert (await ended(running, job))["state"] == "failed"
        running.service.failure = None
        await steer(running, job, "retry")
        done = await ended(running, job)
        assert (done["state"], done["error"]) == ("succeeded", None)
        assert done["steps"][0]["error"] is None

    async def test_a_cancelled_job_may_run_after_all(self, running: Surface) -> None:
        running.service.block = asyncio.Event()
        job = await accepted(running)
        await at_work(running, job)
        await steer(running, job, "cancel")
        running.service.block.set()
        await steer(running, job, "retry")
        done = await ended(running, job)
        assert done["state"] == "succeeded"
        assert await running.results.image(done["result"]) is not None

    async def test_only_what_left_something_to_do(self, running: Surface) -> None:
        done = await ended(running, await accepted(running))
        check_error(await steer(running, done, "retry"), 409, "wrong_state")
        running.service.block = asyncio.Event()
        check_error(await steer(running, await accepted(running), "retry"), 409, "wrong_state")
        assert await read(running, done) == done
        running.service.block.set()


class TestForking:
    async def test_earlier_steps_are_taken_over(self, running: Surface) -> None:
        asked = {"label": "a", "user": "ann", "on_failure": "skip"}
        steps = [{"prompt": "x", "seed": 1}, {"prompt": "y"}, {"prompt": "z"}]
        origin = await ended(running, await chain(running, *steps, **asked))
        response = await steer(running, origin, "fork", {"from_step": 1})
        assert response.status_code == 202
        fork = response.json()
        assert response.headers["location"] == f"/v1/jobs/{fork['id']}"
        assert fork["id"] != origin["id"]
        assert fork["forked_from"] == origin["id"]
        assert fork["specification"] == origin["specification"]
        assert fork["steps"][0] == origin["steps"][0]
        assert [step["state"] for step in fork["steps"][1:]] == ["queued", "queued"]
        done = await ended(running, fork)
        assert [request.prompt for request in running.service.requests] == ["x", "y", "z", "y", "z"]
        assert done["result"] not in (None, origin["result"])
        assert await read(running, origin) == origin

    async def test_later_steps_may_be_others(self, running: Surface) -> None:
        steps = [{"prompt": "x", "name": "a"}, {"prompt": "y"}, FAILING]
        origin = await ended(running, await chain(running, *steps))
        assert origin["state"] == "failed"
        other = [
            {"prompt": "u", "input": "a"},
            {"prompt": "v", "mask_box": [0, 0, 9, 9]},
            {"prompt": "w", "name": "b"},
        ]
        body = {"from_step": 2, "steps": other}
        fork = await ended(running, (await steer(running, origin, "fork", body)).json())
        assert fork["state"] == "succeeded"
        assert fork["specification"]["steps"] == [*origin["specification"]["steps"][:2], *other]
        assert [request.prompt for request in running.service.requests] == ["x", "y", "u", "v", "w"]
        first, second, third, *_ = running.service.requests
        assert np.array_equal(third.images[0].pixels, second.images[0].pixels)
        assert np.array_equal(third.images[0].pixels, 255 - first.images[0].pixels)

    async def test_items_may_be_others(self, running: Surface) -> None:
        origin = await ended(running, await accepted(running, items=[{"seed": 1}, {"seed": 2}]))
        body = {"from_step": 1, "steps": [{"image": data_url(OTHER), "prompt": "y", "seed": 3}]}
        fork = await ended(running, (await steer(running, origin, "fork", body)).json())
        assert [step["seed"] for step in fork["steps"]] == [1, 3]
        assert fork["steps"][0]["result"] == origin["steps"][0]["result"]

    async def test_a_job_that_never_ran_may_be_forked_from_its_start(
        self, surface: Surface
    ) -> None:
        origin = await chain(surface, {"prompt": "x"}, {"prompt": "y"})
        fork = (await steer(surface, origin, "fork", {"from_step": 0})).json()
        assert fork["specification"] == origin["specification"]
        assert fork["state"] == "queued"


class TestErasing:
    async def erase(self, surface: Surface, job: Json) -> None:
        response = await surface.client.delete(job["links"]["self"])
        assert (response.status_code, response.content) == (204, b"")

    async def test_an_erased_job_is_gone_with_all_that_was_its_own(self, running: Surface) -> None:
        job = await ended(
            running, await chain(running, {"prompt": "x"}, {"prompt": "y", "seed": 4})
        )
        image, results = await stored(running), [step["result"] for step in job["steps"]]
        await self.erase(running, job)
        assert await listed(running) == await listed(running, label="nothing has it")
        check_error(await running.client.get(job["links"]["self"]), 404, "not_found")
        check_error(await running.client.delete(job["links"]["self"]), 404, "not_found")
        check_error(await running.client.get(job["links"]["events"]), 404, "not_found")
        for how in ("cancel", "retry", "fork"):
            check_error(await steer(running, job, how, {"from_step": 0}), 404, "not_found")
        check_error(await running.client.get(f"/v1/files/{image}"), 404, "not_found")
        for result in results:
            check_error(await running.client.get(f"/v1/results/{result}"), 404, "not_found")
            metadata = await running.client.get(f"/v1/results/{result}/metadata")
            check_error(metadata, 404, "not_found")
        assert sorted(running.service.forgotten) == ["key of 1000", "key of 4"]

    async def test_what_another_job_uses_stays_until_that_one_goes(self, running: Surface) -> None:
        origin = await ended(running, await chain(running, {"prompt": "x"}, {"prompt": "y"}))
        fork = (await steer(running, origin, "fork", {"from_step": 1})).json()
        fork = await ended(running, fork)
        image = origin["specification"]["image"]
        shared, own = (step["result"] for step in origin["steps"])
        await self.erase(running, origin)
        assert await running.files.has(image)
        assert await running.results.image(shared) is not None
        assert await running.results.image(own) is None
        assert await read(running, fork) == fork
        await self.erase(running, fork)
        assert not await running.files.has(image)
        assert await running.results.image(shared) is None

    async def test_a_result_goes_when_the_fork_went_first(self, running: Surface) -> None:
        origin = await ended(running, await chain(running, {"prompt": "x"}, {"prompt": "y"}))
        fork = (await steer(running, origin, "fork", {"from_step": 1})).json()
        await self.erase(running, await ended(running, fork))
        assert await running.results.image(origin["steps"][0]["result"]) is not None
        await self.erase(running, origin)
        assert await running.results.image(origin["steps"][0]["result"]) is None

    async def test_a_running_job_is_ended_first(self, running: Surface) -> None:
        running.service.block = asyncio.Event()
        job = await accepted(running)
        await at_work(running, job)
        await self.erase(running, job)
        while not running.service.cancelled:
            await asyncio.sleep(0)
        running.service.block.set()
        assert (await ended(running, await accepted(running)))["state"] == "succeeded"
        assert job["id"] not in await ids_of(running)

    async def test_a_queued_job_with_its_files(self, surface: Surface) -> None:
        job = await accepted(surface, mask=data_url(OTHER))
        named = [job["specification"]["items"][0][name] for name in ("image", "mask")]
        assert [await surface.files.has(one) for one in named] == [True, True]
        await self.erase(surface, job)
        assert [await surface.files.has(one) for one in named] == [False, False]

    async def test_other_results_stay(self, running: Surface) -> None:
        edit_id = (await running.edit()).headers["x-edit-id"]
        await self.erase(running, await ended(running, await accepted(running)))
        assert (await running.client.get(f"/v1/results/{edit_id}")).status_code == 200
