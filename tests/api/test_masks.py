"""Masks as requests bring them, up to the edit that is asked for."""

from typing import Any

import numpy as np
import pytest

from tests.api.conftest import DATA_URL, PHOTO, Surface, check_error, data_url
from tests.images.containers import anim, photo, saved, solid, with_orientation

GOOD = ("image", ("x.png", PHOTO))
SIZE = (64, 48)

FREE = np.zeros((48, 64), np.bool_)
FREE[20:40, 10:30] = True


def holed() -> bytes:
    image = solid("RGBA", (200, 10, 10, 255), SIZE)
    image.paste((0, 0, 0, 0), (10, 20, 30, 40))
    return saved(image, "PNG")


def painted() -> bytes:
    image = solid("L", 0, SIZE)
    image.paste(255, (10, 20, 30, 40))
    return saved(image, "PNG")


def part(data: bytes) -> tuple[str, object]:
    return ("mask", ("mask.png", data))


@pytest.mark.parametrize("make", [holed, painted])
async def test_a_mask_file(surface: Surface, make: Any) -> None:
    form = await surface.edit(GOOD, part(make()), n="2")
    typed = await surface.edit_json(mask=data_url(make()))
    objects = await surface.edit_json(mask={"image_url": data_url(make())}, size="64x48")
    assert {answer.status_code for answer in (form, typed, objects)} == {200}
    for request in surface.service.requests:
        assert request.mask is not None
        assert np.array_equal(request.mask.editable, FREE)
        assert not request.mask.editable.flags.writeable


@pytest.mark.parametrize("text", ["10,20,30,40", " 10, 20 ,30,40 ", "[10, 20, 30, 40]"])
async def test_a_box_in_a_form(surface: Surface, text: str) -> None:
    assert (await surface.edit(mask_box=text)).status_code == 200
    (request,) = surface.service.requests
    assert request.mask is not None
    assert np.array_equal(request.mask.editable, FREE)


async def test_a_box_is_the_same_mask_as_its_file(surface: Surface) -> None:
    assert (await surface.edit_json(mask_box=[10, 20, 30, 40])).status_code == 200
    assert (await surface.edit(GOOD, part(holed()))).status_code == 200
    first, second = (request.mask for request in surface.service.requests)
    assert first is not None
    assert second is not None
    assert first.id == second.id


async def test_a_stored_file_is_read_by_its_luma(surface: Surface) -> None:
    stored = await surface.client.post("/v1/files", files={"file": ("m.png", painted())})
    response = await surface.edit_json(mask=stored.json()["id"])
    assert response.status_code == 200, response.text
    (mask,) = (request.mask for request in surface.service.requests)
    assert mask is not None
    assert np.array_equal(mask.editable, FREE)


async def test_a_stored_photo_with_a_hole_is_refused(surface: Surface) -> None:
    """Flattened it would free its bright pixels instead of the hole."""
    stored = await surface.client.post("/v1/files", files={"file": ("m.png", holed())})
    refused = await surface.edit_json(mask=stored.json()["id"])
    check_error(refused, 422, "unusable_mask", "mask")


async def test_the_mask_belongs_to_the_first_image(surface: Surface) -> None:
    other = ("image", ("y.png", saved(photo(40, 40), "PNG")))
    assert (await surface.edit(GOOD, other, part(painted()))).status_code == 200
    refused = await surface.edit(other, GOOD, part(painted()))
    check_error(refused, 422, "unusable_mask", "mask")


async def test_sizes_are_compared_upright(surface: Surface) -> None:
    lying = with_orientation(photo(48, 64), "PNG", bytes([0, 6]))
    assert (await surface.edit(("image", ("x", lying)), part(painted()))).status_code == 200
    mask = with_orientation(solid("L", 255, (48, 64)), "PNG", bytes([0, 6]))
    assert (await surface.edit(GOOD, part(mask))).status_code == 200
    refused = await surface.edit(GOOD, part(saved(solid("L", 255, (48, 64)), "PNG")))
    message = check_error(refused, 422, "unusable_mask", "mask")["message"]
    assert "48x64" in message
    assert "64x48" in message


@pytest.mark.parametrize(
    "data",
    [saved(solid("L", 0, SIZE), "PNG"), saved(solid("RGBA", (255, 255, 255, 200), SIZE), "PNG")],
    ids=["black", "veiled"],
)
async def test_a_mask_that_frees_nothing(surface: Surface, data: bytes) -> None:
    check_error(await surface.edit(GOOD, part(data)), 422, "unusable_mask", "mask")
    assert surface.service.requests == []


@pytest.mark.parametrize(
    "data",
    [anim("PNG", 3), anim("WEBP", 3), saved(solid("L", 255, (1, 1)), "PNG")],
    ids=["apng", "webp", "1x1"],
)
async def test_what_is_no_image_is_no_mask(surface: Surface, data: bytes) -> None:
    check_error(await surface.edit(GOOD, part(data)), 422, "unusable_image", "mask")


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 65, 48],
        [0, 0, 64, 49],
        [-1, 0, 64, 48],
        [10, 20, 10, 40],
        [10, 40, 30, 20],
        [64, 48, 65, 49],
        [999_999, 0, 999_999, 1],
    ],
    ids=str,
)
async def test_boxes_without_pixels_of_the_image(surface: Surface, box: list[int]) -> None:
    refused = await surface.edit_json(mask_box=box)
    message = check_error(refused, 422, "unusable_mask", "mask_box")["message"]
    assert "64x48" in message
    text = ",".join(map(str, box))
    check_error(await surface.edit(mask_box=text), 422, "unusable_mask", "mask_box")
    assert surface.service.requests == []


async def test_the_whole_image_is_a_box(surface: Surface) -> None:
    assert (await surface.edit(mask_box="0,0,64,48")).status_code == 200


@pytest.mark.parametrize("size", ["native", "48x64", "512x384"])
async def test_a_masked_edit_keeps_the_images_size(surface: Surface, size: str) -> None:
    for response in (
        await surface.edit(GOOD, part(painted()), size=size),
        await surface.edit_json(mask_box=[0, 0, 9, 9], size=size),
    ):
        message = check_error(response, 422, "unusable_mask", "size")["message"]
        assert size in message
        assert "64x48" in message
    assert surface.service.requests == []


async def test_a_mask_without_an_image(surface: Surface) -> None:
    response = await surface.edit(part(painted()))
    check_error(response, 400, "missing_field", "image")
    response = await surface.edit_json(image=None, mask=DATA_URL)
    check_error(response, 400, "missing_field", "image")
