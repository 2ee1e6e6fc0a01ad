"""Stored images: put, named, given back."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serve_app.config import LimitsConfig
from serve_app.images.decode_pool import DecodePool
from serve_app.images.pixels import CONTENT_ID
from tests.api.conftest import PHOTO, Surface, check_error, opened
from tests.images.containers import photo, saved
from tests.images.hostile import HOSTILE, HostileCase


async def test_a_file_is_named_by_what_it_shows(surface: Surface) -> None:
    post = surface.client.post
    stored = (await post("/v1/files", files={"file": ("../../x", PHOTO)})).json()
    again = (
        await post("/v1/files", files={"file": ("y", saved(photo(), "WEBP", lossless=True))})
    ).json()
    assert stored == again
    assert CONTENT_ID.fullmatch(stored["id"])
    assert (stored["width"], stored["height"]) == (64, 48)
    image = await surface.client.get(f"/v1/files/{stored['id']}")
    assert image.headers["content-type"] == "image/png"
    assert len(image.content) == stored["bytes"]


async def test_results_with_their_record(surface: Surface) -> None:
    edited = await surface.edit(seed="4")
    result_id = edited.headers["x-edit-id"]
    image = await surface.client.get(f"/v1/results/{result_id}")
    assert image.content.startswith(b"\x89PNG")
    record = await surface.client.get(f"/v1/results/{result_id}/metadata")
    asked = {"seed": 4, "prompt": "make it night", "content_key": "key of 4"}
    assert record.json().items() >= asked.items()


async def test_images_are_kept_for_good(surface: Surface) -> None:
    result_id = (await surface.edit()).headers["x-edit-id"]
    url = f"/v1/results/{result_id}"
    first = await surface.client.get(url)
    assert "immutable" in first.headers["cache-control"]
    etag = first.headers["etag"]
    for sent in (etag, f'"other", {etag}'):
        again = await surface.client.get(url, headers={"if-none-match": sent})
        assert (again.status_code, again.content) == (304, b"")
    other = await surface.client.get(url, headers={"if-none-match": '"other"'})
    assert other.status_code == 200


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
async def test_hostile_files(surface: Surface, case: HostileCase) -> None:
    response = await surface.client.post("/v1/files", files={"file": ("x.png", case.make())})
    check_error(response, case.status, case.code, "file")


async def test_bad_uploads(surface: Surface) -> None:
    post = surface.client.post
    check_error(await post("/v1/files", json={"file": "x"}), 415, "unsupported_media_type")
    response = await post("/v1/files", files={"file": (None, "x")})
    check_error(response, 400, "invalid_value", "file")
    response = await post("/v1/files", files={"image": ("x", PHOTO)})
    check_error(response, 400, "unknown_field", "image")
    response = await post("/v1/files", files=[("file", ("x", PHOTO)), ("file", ("y", PHOTO))])
    check_error(response, 400, "invalid_value", "file")
    empty = b"--b--\r\n"
    response = await post(
        "/v1/files", content=empty, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert response.status_code == 400


async def test_a_file_that_grew_when_stored_can_be_edited(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    jpeg = saved(Image.fromarray(noise), "JPEG", quality=30)
    limits = LimitsConfig(image_bytes=len(jpeg))
    pool = DecodePool(limits)
    try:
        async with opened(pool, tmp_path, limits) as surface:
            post = surface.client.post
            stored = (await post("/v1/files", files={"file": ("x", jpeg)})).json()
            assert stored["bytes"] > limits.image_bytes
            pool._recent.clear()
            assert (await surface.edit_json(image=stored["id"])).status_code == 200
    finally:
        pool.close()
