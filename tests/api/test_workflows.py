"""Saved workflows over HTTP: stored by name and version, run with parameters."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.api.conftest import DATA_URL, PHOTO, Surface, check_error
from tests.api.job_client import OTHER, Json, ended, ids_of, start, stored
from tests.conftest import ROOT
from tests.storage.virtual_time import files_below

BAD, MISSING, UNKNOWN = "invalid_value", "missing_field", "unknown_field"
NOT_FOUND = "not_found"
UNKNOWN_ID = f"img-{'0' * 64}"

SIGN: Json = {
    "description": "The sign, then the light.",
    "parameters": {
        "image": {"type": "image"},
        "headline": {"type": "string", "default": "OPEN", "max_length": 20},
        "light": {"type": "string", "default": "night", "choices": ["night", "sunset"]},
        "seed": {"type": "integer", "default": 3, "minimum": 0},
        "box": {"type": "box", "default": [0, 0, 64, 48]},
    },
    "job": {
        "kind": "chain",
        "image": "${image}",
        "steps": [
            {"prompt": "change the sign to '${headline}'", "seed": "${seed}", "mask_box": "${box}"},
            {"prompt": "make it ${light}"},
        ],
    },
}
PLAIN: Json = {"job": {"kind": "edit", "image": UNKNOWN_ID, "prompt": "x"}}


async def put(surface: Surface, body: Any = SIGN, name: str = "sign") -> httpx.Response:
    return await surface.client.put(f"/v1/workflows/{name}", json=body)


async def run(
    surface: Surface, body: Any, name: str = "sign", key: str | None = None
) -> httpx.Response:
    headers = {} if key is None else {"idempotency-key": key}
    return await surface.client.post(f"/v1/workflows/{name}/run", json=body, headers=headers)


async def names(surface: Surface) -> list[str]:
    return [it["name"] for it in (await surface.client.get("/v1/workflows")).json()["data"]]


def sign(**changes: Any) -> Json:
    return {**SIGN, **changes}


def with_steps(*steps: Any) -> Json:
    """A chain whose parameters are all used, with other steps beside."""
    uses = {"prompt": "${headline} ${light}", "seed": "${seed}", "mask_box": "${box}"}
    return sign(job={**SIGN["job"], "steps": [uses, *steps]})


async def test_versions_are_stored_and_read(surface: Surface) -> None:
    first = await put(surface)
    assert first.status_code == 201
    body = first.json()
    assert body == {"name": "sign", "version": 1, "created_at": body["created_at"], **SIGN}
    assert datetime.fromisoformat(body["created_at"]).tzinfo is not None
    again = await put(surface, dict(reversed(SIGN.items())))
    assert (again.status_code, again.json()) == (200, body)
    second = await put(surface, sign(description="Another one."))
    assert (second.status_code, second.json()["version"]) == (201, 2)
    at = "/v1/workflows/sign"
    assert (await surface.client.get(at)).json() == second.json()
    assert (await surface.client.get(f"{at}?version=1")).json() == body
    listed = (await surface.client.get("/v1/workflows")).json()
    assert listed == {
        "object": "list",
        "data": [
            {
                "name": "sign",
                "version": 2,
                "versions": [1, 2],
                "created_at": second.json()["created_at"],
                "description": "Another one.",
            }
        ],
    }


async def test_a_workflow_needs_no_more_than_a_job(surface: Surface) -> None:
    body = (await put(surface, PLAIN)).json()
    assert (body["description"], body["parameters"], body["job"]) == (None, {}, PLAIN["job"])


async def test_the_order_of_variants_is_content(surface: Surface) -> None:
    variants = {"B": {"prompt": "x", "seed": 1}, "A": {"prompt": "y"}}
    job = {"kind": "variants", "image": UNKNOWN_ID, "variants": variants}
    assert (await put(surface, {"job": job})).status_code == 201
    same = {**job, "variants": {"B": {"seed": 1, "prompt": "x"}, "A": {"prompt": "y"}}}
    again = await put(surface, {"job": dict(reversed(same.items()))})
    assert (again.status_code, again.json()["version"]) == (200, 1)
    turned = await put(surface, {"job": {**job, "variants": dict(reversed(variants.items()))}})
    assert (turned.status_code, turned.json()["version"]) == (201, 2)
    assert list(turned.json()["job"]["variants"]) == ["A", "B"]


async def test_erasing(surface: Surface) -> None:
    await put(surface)
    await put(surface, PLAIN)
    assert (await surface.client.delete("/v1/workflows/sign")).status_code == 204
    assert await names(surface) == []
    check_error(await surface.client.get("/v1/workflows/sign"), 404, NOT_FOUND, "name")
    check_error(await surface.client.delete("/v1/workflows/sign"), 404, NOT_FOUND, "name")
    assert (await put(surface)).json()["version"] == 3
    asked = {"parameters": {"image": DATA_URL}, "version": 1}
    check_error(await run(surface, asked), 404, NOT_FOUND, "version")


async def test_twenty_puts_at_once(surface: Surface) -> None:
    answers = await asyncio.gather(*(put(surface, sign(description=f"{i}")) for i in range(20)))
    assert sorted(answer.json()["version"] for answer in answers) == list(range(1, 21))
    assert {answer.status_code for answer in answers} == {201}
    twins = await asyncio.gather(*(put(surface, PLAIN, "plain") for _ in range(20)))
    assert {answer.json()["version"] for answer in twins} == {1}
    assert sorted(answer.status_code for answer in twins) == [200] * 19 + [201]


async def test_a_run_is_a_job_with_the_values(surface: Surface) -> None:
    await start(surface)
    await put(surface)
    image = await stored(surface)
    values = {"image": image, "headline": "稽 '${light}' \"{x}\"", "seed": 9, "box": [8, 8, 40, 40]}
    asked = {"parameters": values, "label": "signs", "user": "studio", "priority": 7}
    response = await run(surface, asked)
    assert response.status_code == 202, response.text
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["label"], job["user"], job["priority"]) == ("signs", "studio", 7)
    done = await ended(surface, job)
    assert done["state"] == "succeeded"
    assert done["specification"]["image"] == image
    first, second = done["specification"]["steps"]
    assert first["prompt"] == "change the sign to '稽 '${light}' \"{x}\"'"
    assert (first["seed"], first["mask_box"]) == (9, [8, 8, 40, 40])
    assert second["prompt"] == "make it night"
    assert [request.prompt for request in surface.service.requests] == [
        first["prompt"],
        "make it night",
    ]


async def test_a_run_of_an_older_version(surface: Surface) -> None:
    await put(surface)
    await put(surface, PLAIN)
    asked = {"parameters": {"image": DATA_URL}, "version": 1}
    assert (await run(surface, asked)).json()["kind"] == "chain"
    check_error(await run(surface, {"version": 3}), 404, NOT_FOUND, "version")


async def test_images_may_come_with_the_run(surface: Surface) -> None:
    await put(surface)
    asked = {"parameters": {"image": "@photo", "headline": "@photo"}}
    form = [("run", (None, json.dumps(asked))), ("photo", ("x.png", PHOTO))]
    response = await surface.client.post("/v1/workflows/sign/run", files=form)
    assert response.status_code == 202, response.text
    specification = response.json()["specification"]
    assert specification["image"] == await stored(surface)
    assert specification["steps"][0]["prompt"] == "change the sign to '@photo'"


async def test_the_same_run_twice_is_one_job(surface: Surface) -> None:
    await put(surface)
    asked = {"parameters": {"image": DATA_URL}}
    first = await run(surface, asked, key="once")
    again = await run(surface, asked, key="once")
    assert first.json()["id"] == again.json()["id"]
    other = await run(surface, {"parameters": {"image": DATA_URL, "seed": 4}}, key="once")
    check_error(other, 422, "idempotency_key_reused", "Idempotency-Key")
    check_error(await run(surface, asked, key="a b"), 400, BAD, "Idempotency-Key")
    assert await ids_of(surface) == [first.json()["id"]]


# What is put, the code, the field. `job.…` is what `POST /v1/jobs` would say of the job.
BAD_WORKFLOWS: list[tuple[Any, str, str | None]] = [
    ([], BAD, None),
    ({}, MISSING, "job"),
    (sign(colour="red"), UNKNOWN, "colour"),
    (sign(name="sign"), UNKNOWN, "name"),
    (sign(job="x"), BAD, "job"),
    (sign(job={}), BAD, "parameters.image"),
    (sign(parameters={}), BAD, "job.image"),
    (sign(parameters=SIGN["parameters"] | {"x": {"type": "string"}}), BAD, "parameters.x"),
    (sign(parameters=SIGN["parameters"] | {"x": {"kind": "a"}}), UNKNOWN, "parameters.x.kind"),
    (with_steps({"prompt": "of ${nobody}"}), BAD, "job.steps.1.prompt"),
    (with_steps({"prompt": "${"}), BAD, "job.steps.1.prompt"),
    (with_steps({"prompt": "x", "colour": "red"}), UNKNOWN, "job.steps.1.colour"),
    (with_steps({"seed": 1}), MISSING, "job.steps.1.prompt"),
    (with_steps({"prompt": "x", "seed": "${headline}"}), BAD, "job.steps.1.seed"),
    (with_steps({"prompt": "x", "input": "y"}), BAD, "job.steps.1.input"),
    (with_steps("x"), BAD, "job.steps.1"),
    ({"job": {}}, MISSING, "job.kind"),
    ({"job": {"kind": "dance"}}, BAD, "job.kind"),
    ({"job": PLAIN["job"] | {"image": "photo.png"}}, BAD, "job.image"),
    ({"job": PLAIN["job"] | {"image": "http://a/b.png"}}, "image_url_refused", "job.image"),
    ({"job": PLAIN["job"] | {"webhook": "http://elsewhere/"}}, BAD, "job.webhook"),
    ({"job": {"kind": "edit", "image": "", "prompt": [[[[]]] * 3]}}, BAD, "job.image"),
]


async def test_bad_workflows(surface: Surface, subtests: pytest.Subtests) -> None:
    for body, code, param in BAD_WORKFLOWS:
        with subtests.test(json.dumps(body)[-80:]):
            error = check_error(await put(surface, body), 400, code, param)
            assert "ydantic" not in error["message"]
    missing = await put(surface, {"job": PLAIN["job"] | {"image": "@photo"}})
    check_error(missing, 404, NOT_FOUND, "job.image")
    assert await names(surface) == []


async def test_bad_names(surface: Surface, subtests: pytest.Subtests) -> None:
    for name in ("-a", "a b", "a" * 65, "%E7%A8%BD", ".", "a%00"):
        with subtests.test(name):
            if name != ".":  # which clients take for the folder itself
                check_error(await put(surface, SIGN, name), 400, BAD, "name")
                at = f"/v1/workflows/{name}"
                check_error(await surface.client.get(at), 404, NOT_FOUND, "name")
                check_error(await run(surface, {}, name), 404, NOT_FOUND, "name")
    assert await names(surface) == []


async def test_bad_queries(surface: Surface, subtests: pytest.Subtests) -> None:
    await put(surface)
    for query, code, param in [
        *((f"version={text}", BAD, "version") for text in ("0", "-1", "x", "", "1.5", "1" * 30)),
        ("version=1&version=2", BAD, "version"),
        ("colour=red", UNKNOWN, "colour"),
    ]:
        with subtests.test(query):
            check_error(await surface.client.get(f"/v1/workflows/sign?{query}"), 400, code, param)
    check_error(await surface.client.get("/v1/workflows/sign?version=2"), 404, NOT_FOUND, "version")


async def test_a_workflow_too_long_to_store(surface: Surface) -> None:
    body = {"job": PLAIN["job"] | {"image": DATA_URL + "A" * 2**18}}
    check_error(await put(surface, body), 413, "payload_too_large")
    assert await names(surface) == []


async def test_nested_without_end(surface: Surface) -> None:
    deep = "[" * 300 + "]" * 300
    content = f'{{"job": {{"kind": "edit", "prompt": {deep}}}}}'
    headers = {"content-type": "application/json"}
    response = await surface.client.put("/v1/workflows/w", content=content, headers=headers)
    error = check_error(response, 400, BAD, f"job.prompt{'.0' * 16}")
    assert "within each other" in error["message"]


IMAGE: Json = {"image": DATA_URL}
# A body of a run, the status, the code and the field.
BAD_RUNS: list[tuple[Any, int, str, str | None]] = [
    ({}, 400, MISSING, "parameters.image"),
    ({"parameters": None}, 400, MISSING, "parameters.image"),
    ({"parameters": []}, 400, BAD, "parameters"),
    ({"parameters": IMAGE | {"colour": "red"}}, 400, UNKNOWN, "parameters.colour"),
    ({"parameters": IMAGE | {"headline": 3}}, 400, BAD, "parameters.headline"),
    ({"parameters": IMAGE | {"headline": "x" * 21}}, 400, BAD, "parameters.headline"),
    ({"parameters": IMAGE | {"light": "noon"}}, 400, BAD, "parameters.light"),
    ({"parameters": IMAGE | {"seed": -1}}, 400, BAD, "parameters.seed"),
    ({"parameters": IMAGE | {"seed": "1"}}, 400, BAD, "parameters.seed"),
    ({"parameters": IMAGE | {"box": [1, 2, 3]}}, 400, BAD, "parameters.box"),
    ({"parameters": {"image": 3}}, 400, BAD, "parameters.image"),
    ({"parameters": {"image": "photo.png"}}, 400, BAD, "parameters.image"),
    ({"parameters": {"image": "https://a/b.png"}}, 400, "image_url_refused", "parameters.image"),
    ({"parameters": {"image": "data:image/png;base64,!"}}, 400, BAD, "parameters.image"),
    ({"parameters": {"image": UNKNOWN_ID}}, 404, NOT_FOUND, "parameters.image"),
    ({"parameters": {"image": "@photo"}}, 404, NOT_FOUND, "parameters.image"),
    ({"parameters": IMAGE | {"headline": "\u202e"}}, 400, BAD, "job.steps.0.prompt"),
    ({"parameters": IMAGE | {"seed": 2**63}}, 400, BAD, "job.steps.0.seed"),
    ({"parameters": IMAGE, "version": 0}, 400, BAD, "version"),
    ({"parameters": IMAGE, "version": "1"}, 400, BAD, "version"),
    ({"parameters": IMAGE, "steps": []}, 400, UNKNOWN, "steps"),
    ({"parameters": IMAGE, "kind": "edit"}, 400, UNKNOWN, "kind"),
    ({"parameters": IMAGE, "label": ""}, 400, BAD, "label"),
    ({"parameters": IMAGE, "priority": 99}, 400, BAD, "priority"),
    ([], 400, BAD, None),
]


async def test_bad_runs(surface: Surface, tmp_path: Path, subtests: pytest.Subtests) -> None:
    await put(surface)
    for body, status, code, param in BAD_RUNS:
        with subtests.test(json.dumps(body)[:80]):
            check_error(await run(surface, body), status, code, param)
            assert await ids_of(surface) == []
            assert files_below(tmp_path / "files") == {}
    check_error(await run(surface, {"parameters": IMAGE}, "other"), 404, NOT_FOUND, "name")


async def test_an_image_is_told_as_whoever_named_it_knows_it(surface: Surface) -> None:
    """A parameter of the run, or else its place in the job: also where a default names it."""
    parameters = {
        "photo": {"type": "image"},
        "again": {"type": "image", "default": "${photo}"},
        "cut": {"type": "image", "default": UNKNOWN_ID},
    }
    items = [
        {"image": "${again}", "prompt": "x"},
        {"image": "${photo}", "mask": "${cut}", "prompt": "y"},
    ]
    await put(surface, {"parameters": parameters, "job": {"kind": "edit", "items": items}})
    image, missing = await stored(surface), f"img-{'1' * 64}"
    for values, param in [
        ({"photo": missing, "cut": image}, "parameters.photo"),
        ({"photo": image, "cut": missing}, "parameters.cut"),
        ({"photo": image, "again": missing, "cut": image}, "parameters.again"),
        ({"photo": image}, "job.items.1.mask"),
    ]:
        check_error(await run(surface, {"parameters": values}), 404, NOT_FOUND, param)


async def test_bad_forms(surface: Surface, tmp_path: Path, subtests: pytest.Subtests) -> None:
    await put(surface)
    file, asked = ("x.png", PHOTO), (None, json.dumps({"parameters": {"image": "@a"}}))
    for form, status, code, param in [
        ([("a", file)], 400, MISSING, "run"),
        ([("run", asked), ("A", file)], 404, NOT_FOUND, "parameters.image"),
        ([("run", asked), ("a", file), ("b", ("y.png", OTHER))], 400, UNKNOWN, "b"),
        ([("run", asked), ("a", file), ("image", file)], 400, UNKNOWN, "image"),
        ([("run", asked), ("image", file)], 404, NOT_FOUND, "parameters.image"),
        (
            [("run", asked), ("a", ("x.png", b"GIF89a"))],
            415,
            "unsupported_media_type",
            "parameters.image",
        ),
    ]:
        with subtests.test([name for name, _ in form]):
            response = await surface.client.post("/v1/workflows/sign/run", files=form)
            check_error(response, status, code, param)
            assert await ids_of(surface) == []
            assert files_below(tmp_path / "files") == {}


async def test_nothing_runs_by_being_saved(surface: Surface) -> None:
    await start(surface)
    await put(surface)
    assert await ids_of(surface) == []
    assert surface.service.requests == []


async def test_errors_keep_their_kind(surface: Surface) -> None:
    """What is wrong with the job is told as `/v1/jobs` tells it, only with a longer path."""
    job = {"kind": "edit", "image": [UNKNOWN_ID] * 9, "prompt": "x"}
    direct = await surface.client.post("/v1/jobs", json=job)
    saved = await put(surface, {"job": job})
    assert direct.status_code == saved.status_code == 422
    assert saved.json()["error"] == direct.json()["error"] | {"param": "job.image"}


EXAMPLES: dict[str, Json] = {
    file.stem: yaml.safe_load(file.read_text())
    for file in (ROOT / "configs" / "workflows").glob("*.yaml")
}


@pytest.mark.parametrize("example", sorted(EXAMPLES))
async def test_the_examples_are_sound(surface: Surface, example: str) -> None:
    workflow = dict(EXAMPLES[example])
    response = await put(surface, workflow, workflow.pop("name"))
    assert response.status_code == 201, response.text


async def test_the_calligraphy_example_runs(surface: Surface) -> None:
    await start(surface)
    workflow = dict(EXAMPLES["calligraphy"])
    await put(surface, workflow, workflow.pop("name"))
    boxes = {"ji_box": [0, 0, 32, 24], "ting_box": [32, 0, 64, 24], "zhi_box": [16, 12, 32, 24]}
    asked = {"parameters": {"image": DATA_URL, **boxes}}
    job = await ended(surface, (await run(surface, asked, "calligraphy")).json())
    assert job["state"] == "succeeded"
    assert [step["name"] for step in job["steps"]] == ["ji", "ting", "zhi"]
    assert [step["mask_box"] for step in job["specification"]["steps"]] == [*boxes.values()]
