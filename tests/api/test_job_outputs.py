"""Variants, brand sets and what jobs make of their results, over HTTP."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.api.conftest import DATA_URL, Surface, check_error, data_url
from tests.api.job_client import (
    FAILING,
    Json,
    accepted,
    chain,
    ended,
    listed,
    start,
    stored,
    submit,
)
from tests.conftest import decoded

CALM_AND_LOUD: Json = {"calm": {"prompt": "make it blue"}, "loud": {"prompt": "make it red"}}
SMALL = {"name": "small", "width": 48, "height": 48}


def brand_set(**fields: Any) -> Json:
    return {
        "kind": "brand_set",
        "image": DATA_URL,
        "variations": ["make it summer"],
        "targets": [SMALL],
        **fields,
    }


def variants(**fields: Any) -> Json:
    return {"kind": "variants", "image": DATA_URL, "variants": CALM_AND_LOUD, **fields}


def logo_png() -> bytes:
    """A red disc on nothing."""
    y, x = np.mgrid[:64, :64]
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., 0] = 220
    pixels[..., 3] = np.where((x - 32) ** 2 + (y - 32) ** 2 < 28**2, 255, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


async def get(surface: Surface, url: str) -> Any:
    response = await surface.client.get(url)
    assert response.status_code == 200, response.text
    return response


async def test_variants_with_manifest_contact_sheet_and_archive(surface: Surface) -> None:
    await start(surface)
    job = await ended(surface, await accepted(surface, **variants(success_metric="clicks")))
    assert job["state"] == "succeeded"
    assert [step["name"] for step in job["steps"]] == ["calm", "loud"]
    links = job["outputs"]
    manifest = (await get(surface, links["manifest"])).json()
    assert manifest["job"] == job["id"]
    assert set(manifest["variants"]) == {"calm", "loud"}
    sheet = await get(surface, links["contact_sheet"])
    assert sheet.headers["content-type"] == "image/png"
    assert decoded(sheet.content).ndim == 3
    held = {"if-none-match": sheet.headers["etag"]}
    again = await surface.client.get(links["contact_sheet"], headers=held)
    assert again.status_code == 304
    archive = await get(surface, links["archive"])
    assert archive.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(archive.content)) as unpacked:
        assert unpacked.testzip() is None
        names = {"manifest.json", "contact_sheet.png", "calm.png", "loud.png"}
        assert set(unpacked.namelist()) == names
        assert json.loads(unpacked.read("manifest.json")) == manifest
        calm = await get(surface, manifest["variants"]["calm"]["url"])
        assert unpacked.read("calm.png") == calm.content


async def test_a_brand_set_in_the_built_in_formats(surface: Surface) -> None:
    await start(surface)
    fields = brand_set(
        brand={
            "name": "Acme",
            "colors": ["#0a84ff", "white"],
            "style": "clean",
            "logo": data_url(logo_png()),
            "logo_position": "top_left",
        },
        variations=["make it summer", {"name": "winter", "prompt": "make it winter", "seed": 7}],
    )
    del fields["targets"]
    job = await ended(surface, await accepted(surface, **fields))
    assert job["state"] == "succeeded", job
    # Two variations in three shapes.
    assert len(surface.service.requests) == len(job["steps"]) == 6
    prompts = {request.prompt for request in surface.service.requests}
    assert any("#0A84FF, #FFFFFF" in prompt and "clean" in prompt for prompt in prompts)
    assert {r.seed for r in surface.service.requests if "winter" in r.prompt} == {7}
    manifest = (await get(surface, job["outputs"]["manifest"])).json()
    story = next(
        one for one in manifest["outputs"] if one["name"] == "instagram/1080x1920/variation-1.png"
    )
    pixels = decoded((await get(surface, story["url"])).content)
    assert pixels.shape == (1920, 1080, 3)
    # The logo is there, at the top left, and nowhere else.
    red = (pixels == (220, 0, 0)).all(axis=-1)
    assert red[:300, :300].any()
    assert not red[600:].any()
    # The specification can be submitted again: it is the same job.
    again = await accepted(surface, **job["specification"])
    assert again["specification"] == job["specification"]
    assert (await ended(surface, again))["state"] == "succeeded"


async def test_a_logos_opacity_may_come_as_a_file_of_its_own(surface: Surface) -> None:
    await start(surface)
    brand = {"logo": DATA_URL, "logo_opacity": await stored(surface), "logo_width": 1.0}
    job = await ended(surface, await accepted(surface, **brand_set(brand=brand)))
    assert job["state"] == "succeeded", job
    assert job["specification"]["brand"].keys() >= {"logo", "logo_opacity"}


async def test_what_never_ran_is_told_so(surface: Surface) -> None:
    await start(surface)
    steps = ({"prompt": "a"}, FAILING, {"prompt": "b"})
    job = await ended(surface, await chain(surface, *steps))
    assert job["state"] == "failed"
    manifest = (await get(surface, job["outputs"]["manifest"])).json()
    states = [step["state"] for step in manifest["history"]]
    assert states == ["succeeded", "failed", "skipped"]


async def test_a_chain_has_a_contact_sheet_and_tells_how_far_it_drifted(surface: Surface) -> None:
    await start(surface)
    job = await ended(surface, await chain(surface, {"prompt": "a"}, {"prompt": "b"}))
    assert all(step["drift"].keys() >= {"percent", "repaired"} for step in job["steps"])
    manifest = (await get(surface, job["outputs"]["manifest"])).json()
    assert [step["result"] for step in manifest["history"]] == [
        step["result"] for step in job["steps"]
    ]
    archive = await get(surface, job["outputs"]["archive"])
    with zipfile.ZipFile(io.BytesIO(archive.content)) as unpacked:
        assert {"step-1.png", "step-2.png", "result.png"} < set(unpacked.namelist())


async def test_outputs_come_at_the_end_and_not_of_plain_edits(surface: Surface) -> None:
    waiting = await accepted(surface, **variants())
    for what in ("contact-sheet", "manifest", "archive"):
        early = await surface.client.get(f"/v1/jobs/{waiting['id']}/{what}")
        check_error(early, 404, "not_found")
    await start(surface)
    job = await ended(surface, await accepted(surface))
    assert job["outputs"] is None
    check_error(await surface.client.get(f"/v1/jobs/{job['id']}/archive"), 404, "not_found")
    check_error(await surface.client.get("/v1/jobs/x/archive"), 404, "not_found")


async def test_a_fork_takes_over_variants_that_are_done(surface: Surface) -> None:
    await start(surface)
    job = await ended(surface, await accepted(surface, **variants()))
    forked = await surface.client.post(job["links"]["fork"], json={"from_step": 1})
    assert forked.status_code == 202, forked.text
    copy = await ended(surface, forked.json())
    assert copy["steps"][0]["result"] == job["steps"][0]["result"]
    changed = {"from_step": 1, "steps": [{"prompt": "x"}]}
    refused = await surface.client.post(job["links"]["fork"], json=changed)
    check_error(refused, 400, "invalid_value", "steps")


WRONG: list[tuple[str, Json, str]] = [
    ("one variant", variants(variants={"a": {"prompt": "x"}}), "variants"),
    ("no variants", variants(variants={}), "variants"),
    ("a list", variants(variants=[{"prompt": "x"}]), "variants"),
    ("a name", variants(variants={"a b": {"prompt": "x"}, "c": {"prompt": "x"}}), "variants.a b"),
    (
        "the picture's own name",
        variants(variants={"original": {"prompt": "x"}, "c": {"prompt": "x"}}),
        "variants.original",
    ),
    (
        "the contact sheet's name",
        variants(variants={"Contact_Sheet": {"prompt": "x"}, "c": {"prompt": "x"}}),
        "variants.Contact_Sheet",
    ),
    (
        "names that differ in capitals alone",
        variants(variants={"a": {"prompt": "x"}, "A": {"prompt": "y"}}),
        "variants.A",
    ),
    (
        "a variant that is none",
        variants(variants={"a": "x", "c": {"prompt": "x"}}),
        "variants.a",
    ),
    (
        "a field of a variant",
        variants(variants={"a": {"prompt": "x", "name": "b"}, "c": {"prompt": "x"}}),
        "variants.a.name",
    ),
    ("a metric", variants(success_metric="sales"), "success_metric"),
    ("too many at once", variants(concurrency=1000), "concurrency"),
    ("a target", brand_set(targets=["myspace"]), "targets.0"),
    ("no targets", brand_set(targets=[]), "targets"),
    ("zero width", brand_set(targets=[SMALL | {"width": 0}]), "targets.0.width"),
    ("half a pixel", brand_set(targets=[SMALL | {"height": 1.5}]), "targets.0.height"),
    ("too large", brand_set(targets=[SMALL | {"width": 10_000, "height": 10_000}]), "targets.0"),
    ("a thread", brand_set(targets=[SMALL | {"width": 16, "height": 900}]), "targets.0"),
    ("twice the same", brand_set(targets=[SMALL, SMALL]), "targets.1"),
    ("two of one size", brand_set(targets=[SMALL, SMALL | {"name": "other"}]), "targets.1"),
    ("no variations", brand_set(variations=[]), "variations"),
    ("1,001 variations", brand_set(variations=["x"] * 1001), "variations"),
    (
        "more edits than a job has",
        brand_set(
            variations=["x"] * 501, targets=[SMALL, {"name": "wide", "width": 96, "height": 48}]
        ),
        "variations",
    ),
    (
        "more pictures than a job has",
        brand_set(
            variations=["x"] * 700,
            targets=[SMALL | {"name": name, "platform": name} for name in ("one", "two", "three")],
        ),
        "variations",
    ),
    (
        "a description that nobody would see",
        brand_set(variations=[{"prompt": "x", "description": "y"}]),
        "variations.0.description",
    ),
    ("an opacity of nothing", brand_set(brand={"logo_opacity": DATA_URL}), "brand.logo"),
    (
        "a caption that fits nowhere",
        brand_set(variations=["y", {"prompt": "x", "caption": "Summer sale"}]),
        "variations.1.caption",
    ),
    ("an empty variation", brand_set(variations=["x", " "]), "variations.1.prompt"),
    (
        "names twice",
        brand_set(variations=[{"name": "a", "prompt": "x"}, {"name": "a", "prompt": "y"}]),
        "variations.1.name",
    ),
    (
        "a variation's size",
        brand_set(variations=[{"prompt": "x", "size": "64x64"}]),
        "variations.0.size",
    ),
    ("a colour", brand_set(brand={"colors": ["#0A84FF", "#12"]}), "brand.colors.1"),
    ("a colour that is a number", brand_set(brand={"colors": [7]}), "brand.colors.0"),
    ("one colour", brand_set(brand={"colors": "red"}), "brand.colors"),
    ("a brand that is none", brand_set(brand="Acme"), "brand"),
    ("a field of a brand", brand_set(brand={"colour": "red"}), "brand.colour"),
    ("a logo", brand_set(brand={"logo": data_url(b"no image")}), "brand.logo"),
    ("a logo that is not there", brand_set(brand={"logo": f"img-{'0' * 64}"}), "brand.logo"),
    ("a place for the logo", brand_set(brand={"logo_position": "middle"}), "brand.logo_position"),
    ("a font", brand_set(brand={"font": "../../etc/passwd"}), "brand.font"),
    (
        "a caption that can't be drawn",
        brand_set(variations=[{"prompt": "x", "caption": "여름"}]),
        "variations.0.caption",
    ),
    ("a way to fit", brand_set(fit="stretch"), "fit"),
    ("a field", brand_set(colors=["red"]), "colors"),
]


@pytest.mark.parametrize(
    ("specification", "param"), [wrong[1:] for wrong in WRONG], ids=[wrong[0] for wrong in WRONG]
)
async def test_what_is_wrong_is_told_by_its_path_and_nothing_is_stored(
    surface: Surface, specification: Json, param: str
) -> None:
    image = await stored(surface)
    before = await surface.files.ids_before(1e12)
    response = await submit(surface, **(specification | {"image": image}))
    assert 400 <= response.status_code < 500, response.text
    assert response.json()["error"]["param"] == param
    assert (await listed(surface))["data"] == []
    assert await surface.files.ids_before(1e12) == before


async def test_a_name_given_twice_is_refused(surface: Surface) -> None:
    body = '{"kind": "variants", "variants": {"a": {"prompt": "x"}, "a": {"prompt": "y"}}}'
    response = await surface.client.post(
        "/v1/jobs", content=body, headers={"content-type": "application/json"}
    )
    check_error(response, 400, "invalid_value", "a")


COUNTS = {"users": 9000, "impressions": 12_000}


async def analysed(surface: Surface, **fields: Any) -> Any:
    body = {
        "control": "calm",
        "metric": "clicks",
        "variants": {"calm": COUNTS | {"clicks": 450}, "loud": COUNTS | {"clicks": 600}},
        **fields,
    }
    return await surface.client.post("/v1/ab-tests/analyze", json=body)


async def test_analyses_are_kept_with_the_variants_each_time(surface: Surface) -> None:
    job = await accepted(surface, **variants(success_metric="clicks"))
    url = f"/v1/jobs/{job['id']}/analyses"
    assert (await get(surface, url)).json() == {"object": "list", "data": []}
    answers = [(await analysed(surface, job=job["id"])).json() for _ in range(3)]
    assert answers[0]["verdict"] == "winner"
    kept = (await get(surface, url)).json()["data"]
    assert [one["created_at"] for one in kept] == [one["created_at"] for one in answers]
    assert kept[0]["comparisons"] == answers[0]["comparisons"]
    assert kept[0]["variants"] == answers[0]["variants"]
    assert [answer["caveats"] for answer in answers] == [one["caveats"] for one in kept]
    assert answers[0]["caveats"] == []
    for answer, said in zip(answers[1:], ("looked at once", "looked at 2 times"), strict=True):
        assert said in answer["caveats"][0]


async def test_only_looks_with_enough_data_count(surface: Surface) -> None:
    job = await accepted(surface, **variants(success_metric="clicks"))
    early = {"calm": {"users": 90, "clicks": 9}, "loud": {"users": 95, "clicks": 15}}
    first = await analysed(surface, job=job["id"], variants=early)
    assert first.json()["verdict"] == "insufficient_data"
    assert (await analysed(surface, job=job["id"])).json()["caveats"] == []


async def test_a_test_is_decided_by_its_planned_metric(surface: Surface) -> None:
    job = await accepted(surface, **variants())
    refused = await analysed(surface, job=job["id"])
    check_error(refused, 400, "invalid_value", "metric")
    assert "conversions" in refused.json()["error"]["message"]
    assert (await get(surface, f"/v1/jobs/{job['id']}/analyses")).json()["data"] == []
    counts = {"calm": COUNTS | {"conversions": 450}, "loud": COUNTS | {"conversions": 600}}
    answer = await analysed(surface, job=job["id"], metric="conversions", variants=counts)
    assert answer.status_code == 200


async def test_an_analysis_of_other_variants_is_refused_and_not_kept(surface: Surface) -> None:
    job = await accepted(surface, **variants())
    others = {"calm": COUNTS | {"clicks": 450}, "quiet": COUNTS | {"clicks": 600}}
    refused = await analysed(surface, job=job["id"], variants=others)
    check_error(refused, 400, "invalid_value", "variants.quiet")
    unknown = await analysed(surface, job=f"job-{'0' * 32}")
    assert unknown.status_code == 404
    edit = await accepted(surface)
    check_error(await analysed(surface, job=edit["id"]), 400, "invalid_value", "job")
    assert (await get(surface, f"/v1/jobs/{job['id']}/analyses")).json()["data"] == []
