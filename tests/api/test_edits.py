"""What a good request gets."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator

import numpy as np
import pytest
from PIL import Image

from serve_app.edits.request import CachePolicy, EditType, ExactSize, LoraUse, Quality
from serve_app.errors import EditFailed
from serve_app.images.decode_pool import DecodePool
from serve_app.images.pixels import RGB
from tests.api.conftest import DATA_URL, PHOTO, Surface, check_error, data_url
from tests.images.containers import photo, saved
from tests.images.hostile import ACCEPTED, SECRET, AcceptedCase

INVERTED = 255 - np.asarray(photo(64, 48).convert("RGB"))


def pixels(data: bytes) -> RGB:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


async def test_a_form_is_answered_with_openais_body_and_our_facts(surface: Surface) -> None:
    response = await surface.edit(seed="7")
    assert response.status_code == 200
    body = response.json()
    (item,) = body["data"]
    assert np.array_equal(pixels(base64.b64decode(item.pop("b64_json"))), INVERTED)
    result_id = item.pop("id")
    assert item == {"seed": 7, "verdict": "pass", "attempts": 1, "cache": "miss"}
    assert isinstance(body["created"], int)
    assert (body["output_format"], body["size"]) == ("png", "64x48")
    headers = response.headers
    assert headers["x-edit-id"] == result_id
    assert headers["x-edit-seed"] == "7"
    assert headers["x-edit-verdict"] == "pass"
    assert headers["x-edit-attempts"] == "1"
    assert headers["x-edit-cache"] == "miss"


ALL_FIELDS = {
    "model": "qwen-image-edit",
    "n": 1,
    "size": "512x256",
    "seed": 2**63 - 1,
    "negative_prompt": "blur",
    "edit_type": "text",
    "true_cfg_scale": 3.5,
    "num_inference_steps": 8,
    "max_attempts": 4,
    "quality": "best",
    "expected_text": "open now",
    "old_text": "closed",
    "cache": "refresh",
    "output_format": "webp",
    "output_compression": 80,
    "stream": False,
    "priority": 0,
    "deadline_s": 2.5,
    "user": "studio-4",
}


async def test_form_and_json_mean_the_same(surface: Surface) -> None:
    as_text = {name: str(value).lower() for name, value in ALL_FIELDS.items()}
    form = await surface.edit(**as_text)
    typed = await surface.edit_json(**ALL_FIELDS)
    assert form.status_code == typed.status_code == 200, form.text + typed.text
    first, second = surface.service.requests
    for request in (first, second):
        assert request.images[0].id == first.images[0].id
        assert request.size == ExactSize(512, 256)
        assert request.seed == 2**63 - 1
        assert request.edit_type is EditType.TEXT
        assert request.cache is CachePolicy.REFRESH
        assert request.negative_prompt == "blur"
        assert (request.true_cfg_scale, request.num_inference_steps) == (3.5, 8)
        assert request.max_attempts == 4
        assert request.quality is Quality.BEST
        assert (request.expected_text, request.old_text) == ("open now", "closed")
        assert (request.priority, request.deadline_s, request.user) == (0, 2.5, "studio-4")


@pytest.mark.parametrize(
    ("name", "quality"),
    [
        ("auto", None),
        ("draft", Quality.DRAFT),
        ("low", Quality.DRAFT),
        ("standard", Quality.STANDARD),
        ("medium", Quality.STANDARD),
        ("best", Quality.BEST),
        ("high", Quality.BEST),
    ],
)
async def test_quality_has_openais_names_too(
    surface: Surface, name: str, quality: Quality | None
) -> None:
    assert (await surface.edit(quality=name)).status_code == 200
    assert (await surface.edit_json(quality=name)).status_code == 200
    assert [request.quality for request in surface.service.requests] == [quality] * 2


@pytest.mark.parametrize(
    ("given", "scale"), [({}, 1.0), ({"scale": -4}, -4.0), ({"scale": 0.5}, 0.5)]
)
async def test_an_adapter_and_its_strength(
    surface: Surface, given: dict[str, float], scale: float
) -> None:
    lora = {"name": "watercolor.v2"} | given
    form = await surface.edit(lora=json.dumps(lora), n="2")
    typed = await surface.edit_json(lora=lora)
    assert form.status_code == typed.status_code == 200, form.text + typed.text
    assert [request.lora for request in surface.service.requests] == [
        LoraUse("watercolor.v2", scale)
    ] * 3


async def test_null_means_not_given(surface: Surface) -> None:
    left_open = dict.fromkeys(
        ("seed", "n", "size", "model", "stream", "mask", "mask_box", "lora", "priority", "user")
    )
    response = await surface.edit_json(**left_open, deadline_s=None)
    assert response.status_code == 200
    (request,) = surface.service.requests
    assert (request.seed, request.mask, request.lora, request.user) == (None,) * 4
    assert (request.priority, request.deadline_s) == (5, None)


@pytest.mark.parametrize("name", ["image", "image[]"])
async def test_several_parts(surface: Surface, name: str) -> None:
    other = saved(photo(40, 40), "JPEG")
    response = await surface.edit((name, ("a", PHOTO)), (name, ("b", other)), (name, ("c", PHOTO)))
    assert response.status_code == 200
    images = surface.service.requests[0].images
    assert [(image.width, image.height) for image in images] == [(64, 48), (40, 40), (64, 48)]


async def test_json_names_images_in_every_way(surface: Surface) -> None:
    uploaded = await surface.client.post("/v1/files", files={"file": ("x", PHOTO)})
    file_id = uploaded.json()["id"]
    for image in (
        file_id,
        [file_id],
        DATA_URL,
        {"file_id": file_id},
        {"image_url": DATA_URL},
        data_url(saved(photo(), "JPEG"), "image/jpeg"),
    ):
        assert (await surface.edit_json(image=image)).status_code == 200
    alias = {"images": [{"image_url": DATA_URL}, {"file_id": file_id}], "prompt": "x"}
    assert (await surface.client.post("/v1/images/edits", json=alias)).status_code == 200
    assert len(surface.service.requests[-1].images) == 2
    assert {request.images[0].id for request in surface.service.requests} >= {file_id}


async def test_n_images_differ_and_can_be_made_again(surface: Surface) -> None:
    given = await surface.edit(n="3", seed="5")
    assert [item["seed"] for item in given.json()["data"]] == [5, 6, 7]
    derived = await surface.edit(n="3")
    assert len(derived.json()["data"]) == 3
    requests = surface.service.requests
    assert [(r.seed, r.variation) for r in requests[3:]] == [(None, 0), (None, 1), (None, 2)]
    assert [r.variation for r in requests[:3]] == [0, 0, 0]


async def test_one_failure_withdraws_the_other_edits(surface: Surface) -> None:
    service = surface.service
    service.block, service.failure, service.fail_seed = asyncio.Event(), EditFailed("No."), 7
    check_error(await surface.edit(n="3", seed="5"), 500, "edit_failed")
    assert (service.cancelled, service.finished) == (2, 0)


async def test_a_url_leads_to_the_stored_result(surface: Surface) -> None:
    response = await surface.edit(response_format="url")
    (item,) = response.json()["data"]
    assert "b64_json" not in item
    assert item["url"] == f"http://edits.test/v1/results/{item['id']}"
    stored = await surface.client.get(item["url"])
    assert np.array_equal(pixels(stored.content), INVERTED)


@pytest.mark.parametrize("host", ["a b", "[", "evil.test/x?", "a@b", "x:99999", "", "é", "h\t"])
async def test_no_host_header_is_our_fault(surface: Surface, host: str) -> None:
    response = await surface.client.post(
        "/v1/images/edits",
        files={"image": ("x", PHOTO)},
        data={"prompt": "x", "response_format": "url"},
        headers={b"host": host.encode()},
    )
    assert response.status_code == 200
    assert "/v1/results/edit-" in response.json()["data"][0]["url"]


@pytest.mark.parametrize(("name", "magic"), [("jpeg", b"\xff\xd8\xff"), ("webp", b"RIFF")])
async def test_output_formats(surface: Surface, name: str, magic: bytes) -> None:
    sizes = []
    for compression in ("10", "95"):
        response = await surface.edit(output_format=name, output_compression=compression)
        body = response.json()
        data = base64.b64decode(body["data"][0]["b64_json"])
        assert data.startswith(magic)
        assert body["output_format"] == name
        sizes.append(len(data))
    assert sizes[0] < sizes[1]


async def test_the_prompt_is_normalised(surface: Surface) -> None:
    await surface.edit_json(prompt="  Cafe\u0301\r\nau lait\t\u05d0\u200f ")
    assert surface.service.requests[0].prompt == "Caf\u00e9\nau lait\t\u05d0\u200f"
    # 4,000 characters after NFC, though 8,000 code points were sent.
    assert (await surface.edit_json(prompt="e\u0301" * 4000)).status_code == 200


async def test_the_simple_form_answers_with_the_image(surface: Surface) -> None:
    response = await surface.client.post(
        "/edit",
        files={"file": ("x.jpg", PHOTO)},
        data={
            "prompt": "night",
            "edit_type": "semantic",
            "cfg_scale": "2",
            "steps": "4",
            "seed": "9",
        },
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-edit-seed"] == "9"
    assert response.headers["x-edit-id"].startswith("edit-")
    assert np.array_equal(pixels(response.content), INVERTED)
    (request,) = surface.service.requests
    assert (request.true_cfg_scale, request.num_inference_steps) == (2.0, 4)
    assert request.edit_type is EditType.SEMANTIC


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
async def test_odd_but_good_files_are_edited(surface: Surface, case: AcceptedCase) -> None:
    response = await surface.edit(("image", ("../../etc/passwd", case.make())))
    assert response.status_code == 200, response.text
    png = base64.b64decode(response.json()["data"][0]["b64_json"])
    assert Image.open(io.BytesIO(png)).size == case.size
    assert SECRET not in png


async def test_an_upload_in_single_bytes(surface: Surface, decoder: DecodePool) -> None:
    request = surface.client.build_request(
        "POST", "/v1/images/edits", files={"image": ("x", PHOTO)}, data={"prompt": "x"}
    )
    whole = request.read()

    async def trickle() -> AsyncIterator[bytes]:
        for i in range(len(whole)):
            yield whole[i : i + 1]

    headers = {"content-type": request.headers["content-type"]}
    response = await surface.client.post("/v1/images/edits", content=trickle(), headers=headers)
    assert response.status_code == 200
