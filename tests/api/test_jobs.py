"""Durable jobs over HTTP: accepted, run, listed, once for each idempotency key."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta

import httpx
import numpy as np
import pytest

from serve_app.errors import EditFailed
from tests.api.conftest import DATA_URL, PHOTO, Surface, check_error, data_url
from tests.api.job_client import (
    FAILING,
    OTHER,
    Json,
    accepted,
    chain,
    ended,
    ids_of,
    listed,
    read,
    start,
    steer,
    stored,
    submit,
)
from tests.conftest import decoded
from tests.images.containers import saved, solid

OVERVIEW = (
    "id kind state label user priority created_at started_at finished_at deadline_at step_count "
    "result error webhook forked_from links"
)
STEP = (
    "index state name description result verdict attempts seed seconds started_at finished_at error"
)
EVERYTHING: Json = {
    "negative_prompt": "blur",
    "edit_type": "text",
    "size": "64x48",
    "seed": 7,
    "true_cfg_scale": 2.5,
    "num_inference_steps": 9,
    "max_attempts": 3,
    "quality": "best",
    "expected_text": "OPEN",
    "old_text": "CLOSED",
    "lora": {"name": "watercolor.v2", "scale": 0.5},
    "cache": "off",
}
"""All that may be said of an edit beside its prompt, its images and its mask."""

ASKED: Json = {"kind": "edit", "image": DATA_URL, "prompt": "x", "seed": 1}


@pytest.fixture
async def running(surface: Surface) -> Surface:
    return await start(surface)


class TestSubmitting:
    async def test_an_accepted_job_is_read_where_the_answer_says(self, surface: Surface) -> None:
        response = await submit(surface, kind="edit", image=DATA_URL, prompt="make it night")
        assert response.status_code == 202
        job = response.json()
        assert response.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
        assert await read(surface, job) == job
        assert " ".join(job) == f"{OVERVIEW} steps outputs specification"
        assert job["links"].keys() == {"self", "events", "cancel", "retry", "fork"}
        assert (job["kind"], job["state"], job["step_count"]) == ("edit", "queued", 1)
        (step,) = job["steps"]
        assert " ".join(step) == STEP
        assert (step["index"], step["state"], step["result"]) == (0, "queued", None)
        assert datetime.fromisoformat(job["created_at"]).tzinfo is not None
        assert surface.service.requests == []

    async def test_everything_said_of_one_edit_is_kept(self, surface: Surface) -> None:
        image = await stored(surface)
        own = {
            "label": "seasons",
            "user": "ann",
            "priority": 7,
            "deadline_s": 60.0,
            "partial_images": 2,
            "webhook": "http://127.0.0.1:9/hook",
            "concurrency": 3,
        }
        item = {"image": image, "prompt": "x", "name": "a", "description": "the a"} | EVERYTHING
        job = await accepted(surface, kind="edit", **own, **item)
        assert job["specification"] == {"kind": "edit", "items": [item]} | own
        assert (job["label"], job["user"], job["priority"]) == ("seasons", "ann", 7)
        assert job["webhook"] == {"url": own["webhook"], "state": "waiting"}
        assert (job["steps"][0]["name"], job["steps"][0]["description"]) == ("a", "the a")
        created, deadline = (
            datetime.fromisoformat(job[f"{of}_at"]) for of in ("created", "deadline")
        )
        assert deadline - created == timedelta(seconds=60)

    async def test_items_say_what_is_not_shared(self, surface: Surface) -> None:
        image, other = await stored(surface), await stored(surface, OTHER)
        job = await accepted(
            surface,
            kind="edit",
            image=image,
            prompt="make it night",
            seed=1,
            items=[{}, {"seed": 2, "name": "b"}, {"image": [other, image], "prompt": "mix"}],
        )
        assert job["step_count"] == 3
        assert job["specification"]["items"] == [
            {"image": image, "prompt": "make it night", "seed": 1},
            {"image": image, "prompt": "make it night", "seed": 2, "name": "b"},
            {"image": [other, image], "prompt": "mix", "seed": 1},
        ]

    async def test_a_matrix_is_each_prompt_for_each_image(self, surface: Surface) -> None:
        images = [await stored(surface), await stored(surface, OTHER)]
        prompts = ["make it winter", "make it summer", "make it night"]
        matrix = {"images": images, "prompts": prompts}
        job = await accepted(surface, kind="edit", matrix=matrix, seed=5)
        assert job["specification"]["items"] == [
            {"image": image, "prompt": prompt, "seed": 5} for image in images for prompt in prompts
        ]

    async def test_a_chain_keeps_what_its_steps_build_on(self, surface: Surface) -> None:
        image, mask = await stored(surface), await stored(surface, OTHER)
        steps = [
            {"prompt": "a", "name": "first", "description": "the first"},
            {"prompt": "b", "mask": mask} | EVERYTHING,
            {"prompt": "c", "input": "first", "mask_box": [1, 2, 3, 4]},
        ]
        job = await accepted(surface, kind="chain", image=image, steps=steps, on_failure="skip")
        assert job["kind"] == "chain"
        specification = job["specification"]
        assert (specification["image"], specification["on_failure"]) == (image, "skip")
        assert specification["steps"] == steps

    @pytest.mark.parametrize(
        "asked",
        [
            {"kind": "edit", "image": DATA_URL, "prompt": "x", "label": "a"} | EVERYTHING,
            {"kind": "edit", "image": [DATA_URL, data_url(OTHER)], "prompt": "x", "concurrency": 2},
            {"kind": "edit", "image": DATA_URL, "items": [{"prompt": "x"}, {"prompt": "y"}]},
            {"kind": "edit", "matrix": {"images": [DATA_URL], "prompts": ["x", "y"]}, "user": "u"},
            {
                "kind": "chain",
                "image": DATA_URL,
                "steps": [
                    {"prompt": "x", "negative_prompt": "", "size": "native", "name": "n"},
                    {"prompt": "y", "seed": "random", "mask": DATA_URL, "edit_type": "auto"},
                    {"prompt": "z", "input": "n", "mask_box": [0, 0, 9, 9], "description": "d"},
                ],
                "on_failure": "keep_best",
                "deadline_s": 9.5,
                "partial_images": 1,
                "webhook": "https://127.0.0.1/x",
            },
        ],
        ids=["everything", "two images", "items", "matrix", "chain"],
    )
    async def test_a_specification_may_be_submitted_again(
        self, surface: Surface, asked: Json
    ) -> None:
        first = (await accepted(surface, **asked))["specification"]
        assert (await accepted(surface, **first))["specification"] == first

    async def test_files_may_come_with_the_job(self, surface: Surface) -> None:
        asked = {
            "kind": "edit",
            "items": [
                {"image": "@a", "prompt": "x"},
                {"image": ["@b", "@a"], "prompt": "y", "mask": "@a"},
            ],
        }
        files = {"a": ("a.png", PHOTO), "b": ("../../b", OTHER)}
        as_text = {"data": {"job": json.dumps(asked)}, "files": files}
        as_file = {"files": files | {"job": ("job.json", json.dumps(asked))}}
        for form in (as_text, as_file):
            response = await surface.client.post("/v1/jobs", **form)
            assert response.status_code == 202, response.text
            first, second = response.json()["specification"]["items"]
            a, b = await stored(surface), await stored(surface, OTHER)
            assert (first["image"], second["image"]) == (a, [b, a])
            # What a mask frees is drawn in black and white: a stored file has no transparency.
            drawn = await surface.client.get(f"/v1/files/{second['mask']}")
            assert set(np.unique(decoded(drawn.content))) <= {0, 255}

    async def test_pictures_in_data_urls_are_stored_once(self, surface: Surface) -> None:
        twin = data_url(saved(solid("RGB", (200, 10, 10), (64, 48)), "WEBP", lossless=True))
        items = [{"image": data_url(OTHER), "prompt": "x"}, {"image": twin, "prompt": "y"}]
        job = await accepted(surface, kind="edit", items=items)
        first, second = (item["image"] for item in job["specification"]["items"])
        assert first == second
        assert (await surface.client.get(f"/v1/files/{first}")).status_code == 200


class TestRunning:
    async def test_edits_are_made_as_they_were_asked_for(self, running: Surface) -> None:
        asked = {"seed": 7, "edit_type": "text", "quality": "best", "user": "ann", "priority": 8}
        job = await ended(running, await accepted(running, prompt="make it day", **asked))
        assert (job["state"], job["error"]) == ("succeeded", None)
        (request,) = running.service.requests
        assert request.prompt == "make it day"
        assert {name: getattr(request, name) for name in asked} == asked
        assert [image.id for image in request.images] == [await stored(running)]
        (step,) = job["steps"]
        assert (step["state"], step["verdict"], step["attempts"]) == ("succeeded", "pass", 1)
        assert (step["seed"], step["result"]) == (7, job["result"])
        times = [job["created_at"], job["started_at"], step["started_at"]]
        times += [step["finished_at"], job["finished_at"]]
        assert sorted(times) == times
        result = await running.client.get(f"/v1/results/{job['result']}")
        assert result.headers["content-type"] == "image/png"

    async def test_each_item_has_its_own_result(self, running: Surface) -> None:
        items = [{"prompt": "x", "seed": 1}, FAILING, {"prompt": "y", "seed": 2}]
        job = await ended(
            running, await accepted(running, kind="edit", image=DATA_URL, items=items)
        )
        assert (job["state"], job["result"]) == ("succeeded", None)
        first, second, third = job["steps"]
        assert [first["seed"], third["seed"]] == [1, 2]
        assert len({first["result"], third["result"]}) == 2
        assert (second["state"], second["result"]) == ("failed", None)
        assert second["error"]["code"] == "unusable_mask"

    async def test_a_chain_edits_its_own_results(self, running: Surface) -> None:
        job = await ended(running, await chain(running, {"prompt": "x"}, {"prompt": "y"}))
        assert (job["state"], job["result"]) == ("succeeded", job["steps"][1]["result"])
        first, second = running.service.requests
        assert np.array_equal(second.images[0].pixels, 255 - first.images[0].pixels)

    async def test_why_a_job_failed_is_told(self, running: Surface) -> None:
        running.service.failure = EditFailed("No.")
        job = await ended(running, await chain(running, {"prompt": "x"}, {"prompt": "y"}))
        error = {"code": EditFailed.code, "message": "No.", "param": None}
        assert (job["state"], job["result"], job["error"]) == ("failed", None, {**error, "step": 0})
        assert [step["state"] for step in job["steps"]] == ["failed", "skipped"]
        assert job["steps"][0]["error"] == error

    @pytest.mark.parametrize("opaque", [(255, 255, 255, 255), (200, 150, 150, 255)])
    async def test_a_mask_with_a_hole_frees_the_hole(
        self, running: Surface, opaque: tuple[int, ...]
    ) -> None:
        mask = solid("RGBA", opaque, (64, 48))
        mask.paste((0, 0, 0, 0), (10, 20, 30, 40))
        await ended(running, await accepted(running, mask=data_url(saved(mask, "PNG"))))
        (request,) = running.service.requests
        assert request.mask is not None
        free = np.zeros((48, 64), np.bool_)
        free[20:40, 10:30] = True
        assert np.array_equal(request.mask.editable, free)


class TestListing:
    async def test_no_jobs(self, surface: Surface) -> None:
        assert await listed(surface) == {
            "object": "list",
            "data": [],
            "has_more": False,
            "next_cursor": None,
        }

    async def test_jobs_come_without_their_steps(self, surface: Surface) -> None:
        job = await accepted(surface, label="a")
        assert (await listed(surface))["data"] == [{name: job[name] for name in OVERVIEW.split()}]

    async def test_every_filter_and_all_together(self, surface: Surface) -> None:
        one = await accepted(surface, label="a", user="ann")
        two = await accepted(surface, label="a", user="bob")
        three = await chain(surface, {"prompt": "x"}, user="ann")
        await steer(surface, two, "cancel")
        assert await ids_of(surface) == [three["id"], two["id"], one["id"]]
        assert await ids_of(surface, state="queued") == [three["id"], one["id"]]
        assert await ids_of(surface, state="cancelled") == [two["id"]]
        assert await ids_of(surface, state="succeeded") == []
        assert await ids_of(surface, kind="edit") == [two["id"], one["id"]]
        assert await ids_of(surface, kind="chain") == [three["id"]]
        assert await ids_of(surface, label="a") == [two["id"], one["id"]]
        assert await ids_of(surface, label="b") == []
        assert await ids_of(surface, user="ann") == [three["id"], one["id"]]
        together = {"state": "queued", "kind": "edit", "label": "a", "user": "ann"}
        assert await ids_of(surface, **together) == [one["id"]]

    async def test_from_a_time_on_and_before_it(self, surface: Surface) -> None:
        jobs = [await accepted(surface) for _ in range(4)]
        jobs.reverse()
        for job in jobs:
            time = job["created_at"]
            since = [other["id"] for other in jobs if other["created_at"] >= time]
            before = [other["id"] for other in jobs if other["created_at"] < time]
            assert await ids_of(surface, created_after=time) == since
            assert await ids_of(surface, created_before=time) == before
            elsewhere = datetime.fromisoformat(time).astimezone().isoformat()
            assert await ids_of(surface, created_after=elsewhere) == since
            assert await ids_of(surface, created_after=time, created_before=time) == []

    @pytest.mark.parametrize("limit", ["5", "10", "100"])
    async def test_pages_hold_every_job_once(self, surface: Surface, limit: str) -> None:
        image = await stored(surface)
        jobs = [await accepted(surface, image=image) for _ in range(25)]
        seen: list[str] = []
        page = await listed(surface, limit=limit)
        while page["has_more"]:
            assert len(page["data"]) == int(limit)
            seen += [job["id"] for job in page["data"]]
            # What comes meanwhile is newer than every page to come.
            await accepted(surface, image=image)
            page = await listed(surface, limit=limit, cursor=page["next_cursor"])
        assert page["next_cursor"] is None
        seen += [job["id"] for job in page["data"]]
        assert seen == [job["id"] for job in reversed(jobs)]

    async def test_pages_are_of_20_and_filtered_alike(self, surface: Surface) -> None:
        image = await stored(surface)
        for number in range(23):
            await accepted(surface, image=image, label="odd" if number % 2 else "even")
        first = await listed(surface)
        assert (len(first["data"]), first["has_more"]) == (20, True)
        assert len((await listed(surface, cursor=first["next_cursor"]))["data"]) == 3
        odd = await listed(surface, label="odd", limit="8")
        rest = await listed(surface, label="odd", limit="8", cursor=odd["next_cursor"])
        both = odd["data"] + rest["data"]
        assert {job["label"] for job in both} == {"odd"}
        assert len({job["id"] for job in both}) == 11
        assert rest["has_more"] is False


class TestIdempotency:
    @pytest.mark.parametrize("key", ["a", "k" * 255, "!~:/{}"])
    async def test_the_same_request_is_one_job(self, surface: Surface, key: str) -> None:
        first = await submit(surface, key, **ASKED)
        again = await submit(surface, key, **dict(reversed(ASKED.items())))
        assert (first.status_code, again.status_code) == (202, 202)
        assert again.json() == first.json()
        assert again.headers["location"] == first.headers["location"]
        assert await ids_of(surface) == [first.json()["id"]]

    async def test_the_same_picture_is_the_same_request(self, surface: Surface) -> None:
        first = (await submit(surface, "a", **ASKED)).json()
        by_id = {**ASKED, "image": await stored(surface)}
        assert (await submit(surface, "a", **by_id)).json() == first

    async def test_an_ended_job_is_answered_as_it_is(self, running: Surface) -> None:
        job = await ended(running, (await submit(running, "a", **ASKED)).json())
        assert (await submit(running, "a", **ASKED)).json() == job
        assert len(running.service.requests) == 1

    async def test_together_they_are_one_job(self, surface: Surface) -> None:
        answers = await asyncio.gather(*(submit(surface, "a", **ASKED) for _ in range(8)))
        assert {answer.status_code for answer in answers} == {202}
        assert {answer.json()["id"] for answer in answers} == set(await ids_of(surface))

    @pytest.mark.parametrize("change", [{"prompt": "y"}, {"seed": 2}, {"label": "l"}], ids=str)
    async def test_another_request_is_refused(self, surface: Surface, change: Json) -> None:
        first = (await submit(surface, "a", **ASKED)).json()
        response = await submit(surface, "a", **ASKED | change)
        check_error(response, 422, "idempotency_key_reused", "Idempotency-Key")
        assert await ids_of(surface) == [first["id"]]

    async def test_other_keys_are_other_jobs(self, surface: Surface) -> None:
        for key in ("a", "A", None, None):
            await submit(surface, key, **ASKED)
        assert len(await ids_of(surface)) == 4

    async def test_a_key_ends_with_its_job(self, surface: Surface) -> None:
        first = (await submit(surface, "a", **ASKED)).json()
        await surface.client.delete(first["links"]["self"])
        assert (await submit(surface, "a", **ASKED)).json()["id"] != first["id"]

    async def test_forks_have_keys_too(self, surface: Surface) -> None:
        origin = await accepted(surface, **ASKED)

        async def fork(body: Json) -> httpx.Response:
            headers = {"Idempotency-Key": "a"}
            return await surface.client.post(origin["links"]["fork"], json=body, headers=headers)

        first = await fork({"from_step": 0})
        assert (await fork({"from_step": 0})).json() == first.json()
        other = {"from_step": 0, "steps": [{"image": DATA_URL, "prompt": "y"}]}
        check_error(await fork(other), 422, "idempotency_key_reused", "Idempotency-Key")
        response = await submit(surface, "a", **ASKED)
        check_error(response, 422, "idempotency_key_reused", "Idempotency-Key")
        assert len(await ids_of(surface)) == 2
