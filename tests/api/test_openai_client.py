"""OpenAI's own client, unmodified, against the surface."""

import base64
from collections.abc import AsyncIterator
from typing import Literal

import httpx
import openai
import pytest
from openai.types import ImageEditCompletedEvent, ImageEditPartialImageEvent

from serve_app.errors import EditFailed, Overloaded
from tests.api.conftest import ADAPTER, PHOTO, STEPS, Surface
from tests.images.containers import saved, solid


@pytest.fixture
async def client(surface: Surface) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key="unused",
        base_url="http://edits.test/v1",
        http_client=httpx.AsyncClient(transport=httpx.ASGITransport(surface.app)),  # type: ignore[arg-type]
        max_retries=0,
    ) as client:
        yield client


PNG = ("photo.png", PHOTO, "image/png")


async def test_one_image(client: openai.AsyncOpenAI, surface: Surface) -> None:
    answer = await client.images.edit(
        image=PNG, prompt="night", model="qwen-image-edit", extra_body={"seed": 3, "cache": "off"}
    )
    assert answer.data is not None
    assert base64.b64decode(answer.data[0].b64_json or "").startswith(b"\x89PNG")
    assert answer.size == "64x48"
    assert answer.data[0].seed == 3  # type: ignore[attr-defined]


async def test_a_mask_and_our_own_fields(client: openai.AsyncOpenAI, surface: Surface) -> None:
    hole = solid("RGBA", (0, 0, 0, 255), (64, 48))
    hole.paste((0, 0, 0, 0), (10, 20, 30, 40))
    await client.images.edit(
        image=PNG,
        prompt="night",
        mask=("mask.png", saved(hole, "PNG"), "image/png"),
        user="studio-4",
        extra_body={"lora": '{"name": "watercolor.v2"}', "priority": 9, "deadline_s": 1.5},
    )
    (request,) = surface.service.requests
    assert request.mask is not None
    assert request.mask.editable.sum() == 20 * 20
    assert request.mask.editable[20:40, 10:30].all()
    assert (request.user, request.priority, request.deadline_s) == ("studio-4", 9, 1.5)
    assert request.lora is not None
    assert request.lora.name == ADAPTER.name


async def test_several_images_in_and_out(client: openai.AsyncOpenAI, surface: Surface) -> None:
    answer = await client.images.edit(
        image=[PNG, PNG],
        prompt="night",
        n=2,
        size="auto",
        response_format="url",
        output_format="png",
    )
    assert answer.data is not None
    assert len(answer.data) == 2
    assert all((item.url or "").startswith("http://edits.test/v1/results/") for item in answer.data)
    assert len(surface.service.requests[0].images) == 2


@pytest.mark.parametrize("output_format", ["png", "jpeg"])
async def test_a_stream_is_typed(
    client: openai.AsyncOpenAI, surface: Surface, output_format: Literal["png", "jpeg"]
) -> None:
    stream = await client.images.edit(
        image=PNG,
        prompt="night",
        stream=True,
        partial_images=2,
        output_format=output_format,
    )
    events = [event async for event in stream]
    *partials, last = events
    assert [type(event) for event in partials] == [ImageEditPartialImageEvent] * 2
    assert isinstance(last, ImageEditCompletedEvent)
    for event in events:
        # Streamed events are not validated by the client, so do it here.
        type(event).model_validate(event.model_dump(), strict=True)
        assert event.size == "64x48"
        assert event.output_format == output_format
    assert [event.partial_image_index for event in partials] == [0, 1]  # type: ignore[union-attr]
    assert last.verdict == "pass"  # type: ignore[attr-defined]
    assert last.cache == "miss"  # type: ignore[attr-defined]


@pytest.mark.parametrize("quality", ["auto", "low", "medium", "high"])
async def test_a_stream_tells_the_quality_in_openais_words(
    client: openai.AsyncOpenAI, quality: Literal["auto", "low", "medium", "high"]
) -> None:
    stream = await client.images.edit(image=PNG, prompt="x", stream=True, quality=quality)
    (last,) = [event async for event in stream]
    type(last).model_validate(last.model_dump(), strict=True)
    assert last.quality == quality


async def test_an_error_in_a_stream_is_raised(client: openai.AsyncOpenAI, surface: Surface) -> None:
    surface.service.failure, surface.service.fail_after = EditFailed("No picture."), STEPS + 1
    stream = await client.images.edit(image=PNG, prompt="x", stream=True, partial_images=2)
    with pytest.raises(openai.APIError) as caught:
        _ = [event async for event in stream]
    assert caught.value.message == "No picture."
    assert caught.value.code == "edit_failed"


async def test_errors_have_their_types(client: openai.AsyncOpenAI, surface: Surface) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.edit(image=PNG, prompt="x", background="opaque")
    assert (caught.value.code, caught.value.param) == ("unknown_field", "background")
    small = ("mask.png", saved(solid("L", 255), "PNG"), "image/png")
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        await client.images.edit(image=PNG, prompt="x", mask=small)
    assert (refused.value.code, refused.value.param) == ("unusable_mask", "mask")
    surface.service.failure = Overloaded("The queue is full.", None, 3.0)
    with pytest.raises(openai.RateLimitError):
        await client.images.edit(image=PNG, prompt="x")
    with pytest.raises(openai.RateLimitError):
        await client.images.edit(image=PNG, prompt="x", stream=True)


async def test_models(client: openai.AsyncOpenAI) -> None:
    listed = [model async for model in client.models.list()]
    assert [model.id for model in listed] == ["qwen-image-edit"]
    model = await client.models.retrieve("qwen-image-edit")
    assert model.owned_by == "qwen-edit-serve"
    adapter = {"name": ADAPTER.name, "revision": ADAPTER.revision, "bytes": ADAPTER.nbytes}
    assert model.adapters == [adapter]  # type: ignore[attr-defined]
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-image-1")
