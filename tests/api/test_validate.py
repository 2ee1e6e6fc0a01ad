"""``POST /v1/validate``: any two images in, a report out, and what it refuses."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from serve_app.images.pixels import RGB
from tests.api.conftest import Surface, check_error, data_url
from tests.conftest import encoded, photo

BEFORE = photo("astronaut", (256, 256))


def edited(original: RGB = BEFORE) -> RGB:
    pixels = original.copy()
    pixels[60:110, 70:130] = (30, 160, 60)
    return pixels


async def validate(
    surface: Surface, original: bytes, other: bytes, *more: tuple[str, object], **fields: object
) -> httpx.Response:
    parts = [("original", ("a.png", original)), ("edited", ("b.png", other)), *more]
    return await surface.client.post(
        "/v1/validate",
        files=parts,  # type: ignore[arg-type]
        data=fields,
    )


def status(body: dict[str, Any], name: str) -> str:
    return next(check["status"] for check in body["checks"] if check["name"] == name)


async def test_a_good_edit_gets_a_report(surface: Surface) -> None:
    response = await validate(
        surface, encoded(BEFORE), encoded(edited(), "JPEG"), prompt="add a green box"
    )
    assert response.status_code == 200
    body = response.json()
    assert body["verdict"] == "pass_unverified"
    assert body["edit_type"] == "appearance"
    assert 0 < body["coverage"] < 1
    assert any("instruction was followed" in reason for reason in body["reasons"])
    assert "picture" not in body
    assert surface.service.requests == []


async def test_no_editor_is_needed(surface: Surface) -> None:
    surface.service.warm = False
    assert (await surface.client.get("/ready")).status_code == 503
    assert (await validate(surface, encoded(BEFORE), encoded(edited()))).status_code == 200


async def test_the_documentation_names_every_field(surface: Surface) -> None:
    operation = (await surface.client.get("/openapi.json")).json()["paths"]["/v1/validate"]["post"]
    for content in operation["requestBody"]["content"].values():
        schema = content["schema"]
        assert schema["required"] == ["original", "edited"]
        assert {
            *("original", "edited", "mask", "mask_box", "edit_type", "prompt", "expected_text"),
            *("old_text", "picture"),
        } == schema["properties"].keys()
        assert "`size`" not in schema["properties"]["mask"]["description"]


@pytest.mark.parametrize("edit_type", ["semantic", "appearance", "text", "hybrid"])
async def test_identical_files_are_told(surface: Surface, edit_type: str) -> None:
    response = await validate(surface, encoded(BEFORE), encoded(BEFORE), edit_type=edit_type)
    assert status(response.json(), "no_op") == ("warn" if edit_type == "text" else "fail")


async def test_the_picture_comes_on_request(surface: Surface) -> None:
    body = (await validate(surface, encoded(BEFORE), encoded(BEFORE), picture="true")).json()
    drawn = Image.open(io.BytesIO(base64.b64decode(body["picture"]["b64_json"])))
    assert drawn.format == "PNG"
    assert drawn.width > 3 * 400


async def test_json_takes_ids_and_data_urls(surface: Surface) -> None:
    stored = await surface.client.post("/v1/files", files={"file": ("a.png", encoded(BEFORE))})
    fields = {
        "original": stored.json()["id"],
        "edited": {"image_url": data_url(encoded(edited()))},
        "edit_type": "appearance",
        "mask_box": [60, 50, 140, 120],
        "picture": False,
    }
    body = (await surface.client.post("/v1/validate", json=fields)).json()
    assert status(body, "outside_mask") == "pass"
    assert status(body, "inside_mask") == "pass"


async def test_a_mask_says_where_it_should_have_been(surface: Surface) -> None:
    mask = np.zeros((256, 256, 3), np.uint8)
    mask[180:250, 150:250] = 255
    part = ("mask", ("m.png", encoded(mask)))
    body = (
        await validate(surface, encoded(BEFORE), encoded(edited()), part, edit_type="appearance")
    ).json()
    assert body["verdict"] == "fail"
    assert status(body, "inside_mask") == "fail"


def transparent(pixels: RGB) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("RGBA").save(buffer, "PNG")
    return buffer.getvalue()


def plain(level: int) -> bytes:
    return encoded(np.full((128, 128, 3), level, np.uint8))


@pytest.mark.parametrize(
    ("original", "other"),
    [
        (encoded(BEFORE), encoded(photo("astronaut", (500, 400)))),
        (encoded(photo("astronaut", (64, 64))), encoded(photo("coffee", (64, 64)))),
        (transparent(BEFORE), encoded(edited())),
        (plain(90), plain(91)),
        (encoded(photo("coffee", (640, 64))), encoded(photo("coffee", (64, 640)))),
    ],
    ids=["sizes", "tiny", "alpha", "plain", "strips"],
)
async def test_odd_pairs_get_a_sane_report(surface: Surface, original: bytes, other: bytes) -> None:
    response = await validate(surface, original, other, picture="true", edit_type="hybrid")
    assert response.status_code == 200
    assert response.json()["verdict"] in ("fail", "pass_unverified")


@pytest.mark.slow
async def test_a_huge_pair_is_judged(surface: Surface) -> None:
    huge = photo("coffee", (8000, 5000))
    other = huge.copy()
    other[1000:2000, 2000:3500] = (20, 40, 200)
    response = await validate(
        surface, encoded(huge, "JPEG"), encoded(other, "JPEG"), edit_type="appearance"
    )
    body = response.json()
    assert body["verdict"] == "pass_unverified", body
    evidence = next(c["evidence"] for c in body["checks"] if c["name"] == "over_edit")
    assert evidence["boxes"][0] == pytest.approx([2000, 1000, 3500, 2000], abs=60)


async def test_what_is_missing_is_named(surface: Surface) -> None:
    files = {"original": ("a.png", encoded(BEFORE))}
    response = await surface.client.post("/v1/validate", files=files)
    check_error(response, 400, "missing_field", "edited")


@pytest.mark.parametrize(
    ("field", "value", "status", "code"),
    [
        ("edit_type", "nice", 400, "invalid_value"),
        ("colour", "red", 400, "unknown_field"),
        ("picture", "maybe", 400, "invalid_value"),
        ("expected_text", "x" * 301, 400, "invalid_value"),
        ("old_text", "a\nb", 400, "invalid_value"),
        ("mask_box", "0,0,300,10", 422, "unusable_mask"),
        ("prompt", "  ", 400, "invalid_value"),
    ],
)
async def test_fields_that_can_not_be_used(
    surface: Surface, field: str, value: str, status: int, code: str
) -> None:
    response = await validate(surface, encoded(BEFORE), encoded(edited()), **{field: value})
    check_error(response, status, code, field)


async def test_a_mask_of_another_size_is_refused(surface: Surface) -> None:
    part = ("mask", ("m.png", encoded(np.full((64, 64, 3), 255, np.uint8))))
    response = await validate(surface, encoded(BEFORE), encoded(edited()), part)
    check_error(response, 422, "unusable_mask", "mask")


@pytest.mark.parametrize("name", ["original", "edited"])
async def test_text_is_no_image(surface: Surface, name: str) -> None:
    files = {"original": ("a.png", encoded(BEFORE)), "edited": ("b.png", encoded(edited()))}
    files[name] = ("x.png", b"not an image")
    response = await surface.client.post("/v1/validate", files=files)
    check_error(response, 415, "unsupported_media_type", name)
