"""``POST /v1/plan``: a brief in, a job to submit out, and what it refuses."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from serve_app.edits.question import Reply
from tests.api.conftest import PHOTO, Surface, check_error
from tests.workflows.assistant.briefs import ALL, FORMATS


async def planned(surface: Surface, brief: object, **fields: object) -> httpx.Response:
    return await surface.client.post("/v1/plan", json={"brief": brief, **fields})


async def stored_photo(surface: Surface) -> str:
    stored = await surface.client.post("/v1/files", files={"file": ("a.png", PHOTO)})
    return str(stored.json()["id"])


async def test_every_proposal_is_a_job(surface: Surface) -> None:
    """The route itself reads it as a job: an unusable one would be an error."""
    for labelled in ALL:
        response = await planned(surface, labelled.text)
        assert response.status_code == 200, (labelled.text, response.text)
        body = response.json()
        assert body.keys() == {"kind", "specification", "reasons", "by", "questions"}
        assert body["kind"] == body["specification"]["kind"] == labelled.kind
    assert surface.service.requests == []


@pytest.mark.parametrize(
    ("brief", "kind"),
    [
        ("Remove the car, then make it a watercolor", "chain"),
        ("A/B test a red vs blue door", "variants"),
        ("Winter and summer versions for our blog, brand colours navy and white", "brand_set"),
    ],
)
async def test_a_proposal_can_be_submitted_as_it_is(
    surface: Surface, brief: str, kind: str
) -> None:
    image = await stored_photo(surface)
    body = (await planned(surface, brief, image=image)).json()
    assert body["kind"] == kind
    assert body["specification"]["image"] == image
    accepted = await surface.client.post("/v1/jobs", json=body["specification"])
    assert accepted.status_code == 202, accepted.text
    await surface.client.post(f"/v1/jobs/{accepted.json()['id']}/cancel")


async def test_nothing_is_run_or_stored(surface: Surface) -> None:
    await planned(surface, "Remove the car")
    assert surface.service.requests == []
    assert (await surface.client.get("/v1/jobs")).json()["data"] == []


async def test_no_editor_is_needed(surface: Surface) -> None:
    surface.service.warm = False
    assert (await planned(surface, "Remove the car")).json()["by"] == "rules"


async def test_the_model_is_asked_where_it_answers(surface: Surface) -> None:
    surface.service.replies = [Reply(text="chain"), Reply(text="Remove the car\nAdd a tree")]
    body = (await planned(surface, "A tree and no car")).json()
    assert body["by"] == "model"
    steps = body["specification"]["steps"]
    assert [step["prompt"] for step in steps] == ["Remove the car", "Add a tree"]


async def test_brand_and_targets_are_taken_over(surface: Surface) -> None:
    brand: dict[str, Any] = {"name": "Acme", "colors": ["navy", "#FFFFFF"], "logo": "@logo"}
    own = {"name": "wide", "width": 1600, "height": 400}
    body = (await planned(surface, "Add snow", brand=brand, targets=["twitter_card", own])).json()
    assert body["kind"] == "brand_set"
    assert body["specification"]["brand"] == brand
    assert body["specification"]["targets"] == ["twitter_card", own]


async def test_a_kind_can_be_chosen(surface: Surface) -> None:
    body = (await planned(surface, "Add snow", kind="brand_set")).json()
    assert body["specification"]["targets"] == list(FORMATS)


async def test_the_documentation_names_every_field(surface: Surface) -> None:
    operation = (await surface.client.get("/openapi.json")).json()["paths"]["/v1/plan"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["brief"]
    assert schema["properties"].keys() == {"brief", "image", "kind", "brand", "targets"}


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"brief": "  "}, 400, "invalid_value", "brief"),
        ({"brief": "x" * 4_001}, 400, "invalid_value", "brief"),
        ({"brief": 7}, 400, "invalid_value", "brief"),
        ({"brief": None}, 400, "missing_field", "brief"),
        ({"brief": "a\u0000b"}, 400, "invalid_value", "brief"),
        ({"brief": "Add a hat. " * 30}, 400, "invalid_value", "brief"),
        ({"mood": "sad"}, 400, "unknown_field", "mood"),
        ({"kind": "edit"}, 400, "invalid_value", "kind"),
        ({"image": "photo.png"}, 400, "invalid_value", "image"),
        ({"image": "https://a.test/a.png"}, 400, "invalid_value", "image"),
        ({"image": f"img-{'0' * 64}"}, 404, "not_found", "image"),
        ({"targets": ["facebook"]}, 400, "invalid_value", "targets.0"),
        ({"targets": []}, 400, "invalid_value", "targets"),
        ({"targets": ["twitter_card"], "kind": "chain"}, 400, "invalid_value", "targets"),
        ({"targets": [{"name": "a", "width": 0, "height": 9}]}, 400, "invalid_value",
         "targets.0.width"),
        ({"brand": "Acme"}, 400, "invalid_value", "brand"),
        ({"brand": {"colors": ["navy", "bleu"]}}, 400, "invalid_value", "brand.colors.1"),
        ({"brand": {"slogan": "x"}}, 400, "unknown_field", "brand.slogan"),
        ({"brand": {"logo_position": "middle"}}, 400, "invalid_value", "brand.logo_position"),
        ({"brand": {"logo": f"img-{'0' * 64}"}}, 404, "not_found", "brand.logo"),
    ],
)  # fmt: skip
async def test_fields_that_can_not_be_used(
    surface: Surface, fields: dict[str, object], status: int, code: str, param: str
) -> None:
    response = await surface.client.post("/v1/plan", json={"brief": "Add a hat", **fields})
    check_error(response, status, code, param)


async def test_a_form_is_refused(surface: Surface) -> None:
    response = await surface.client.post("/v1/plan", data={"brief": "Add a hat"})
    check_error(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("length", [2_990, 3_200, 3_900, 4_000])
@pytest.mark.parametrize("kind", ["chain", "variants", "brand_set"])
async def test_long_briefs_are_planned_or_refused(surface: Surface, kind: str, length: int) -> None:
    brief = ("Add a hat " + "very " * 1_000)[:length]
    brand = {"style": "s" * 300, "colors": ["#123456"]}
    response = await planned(surface, brief, kind=kind, brand=brand)
    if response.status_code != 200:
        check_error(response, 400, "invalid_value", "brief")
