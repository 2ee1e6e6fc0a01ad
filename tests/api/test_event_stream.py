"""The stream on the wire."""

import json

import pytest

from serve_app.errors import EditFailed, NotReady
from tests.api.conftest import STEPS, Surface, check_error


async def test_comments_partial_images_and_the_result(surface: Surface) -> None:
    response = await surface.edit(stream="true", partial_images="1")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert "content-length" not in response.headers
    *blocks, rest = response.text.split("\n\n")
    assert rest == ""
    assert blocks[:STEPS] == [f": attempt 1 step {step}/{STEPS}" for step in (1, 2, 3)]
    names = [block.splitlines()[0] for block in blocks[STEPS:]]
    assert names == ["event: image_edit.partial_image", "event: image_edit.completed"]
    completed = json.loads(blocks[-1].splitlines()[1].removeprefix("data: "))
    assert completed["id"].startswith("edit-")
    assert completed["seed"] == 1000


@pytest.mark.parametrize("failure", [EditFailed("No."), NotReady("Not yet.", None, 2.0)])
async def test_an_error_before_the_first_event_is_an_ordinary_one(
    surface: Surface, failure: EditFailed | NotReady
) -> None:
    surface.service.failure = failure
    check_error(await surface.edit(stream="true"), failure.status, failure.code)


async def test_an_unexpected_error_in_mid_stream_says_nothing(
    surface: Surface, caplog: pytest.LogCaptureFixture
) -> None:
    surface.service.failure, surface.service.fail_after = ValueError("canary"), 2
    response = await surface.edit(stream="true")
    assert response.status_code == 200
    event, data = response.text.split("\n\n")[-2].splitlines()
    assert event == "event: error"
    body = json.loads(data.removeprefix("data: "))
    assert body["error"]["code"] == "internal_error"
    assert body["request_id"] == response.headers["x-request-id"]
    assert "canary" not in response.text + caplog.text
    assert body["request_id"] in caplog.text
