"""One edit through the whole graph, as users' programs send it."""

from __future__ import annotations

import base64
import io

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from serve_app.images.masks import EditMask
from tests.conftest import PHOTOS, Service, decoded, encoded, photo

pytestmark = pytest.mark.cluster


@pytest.fixture
def client(service: Service) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key="unused", max_retries=0)


@pytest.fixture
def http(service: Service) -> httpx.Client:
    return httpx.Client(base_url=service.url, timeout=120)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_comes_back_edited_at_its_own_size(client: openai.OpenAI, name: str) -> None:
    original = photo(name)
    answer = client.images.edit(
        image=(f"{name}.png", encoded(original), "image/png"),
        prompt="make it a watercolor",
        extra_body={"num_inference_steps": 4},
    )
    edited = decoded(base64.b64decode(answer.data[0].b64_json))
    assert edited.shape == original.shape
    assert (edited != original).any()
    assert answer.data[0].verdict in {"pass", "pass_unverified", "fail"}
    assert isinstance(answer.data[0].seed, int)


def test_a_masked_edit_and_its_record(client: openai.OpenAI, http: httpx.Client) -> None:
    original = photo("coffee", (300, 200))
    hole = np.full((200, 300, 4), 255, np.uint8)
    hole[40:120, 60:200, 3] = 0
    answer = client.images.edit(
        image=("a.png", encoded(original), "image/png"),
        mask=("mask.png", encoded(hole), "image/png"),
        prompt="put a spoon beside the cup",
        user="studio-4",
        extra_body={"num_inference_steps": 2, "priority": 7, "deadline_s": 19},
    )
    (edit,) = answer.data
    assert decoded(base64.b64decode(edit.b64_json)).shape == original.shape
    asked = http.get(f"/v1/results/{edit.id}/metadata").json()["request"]
    free = hole[..., 3] == 0
    assert asked["mask"] == EditMask.of(free).id
    assert not {"priority", "deadline_s", "user"} & asked.keys()
    boxed = http.post(
        "/v1/images/edits",
        files={"image": ("a.png", encoded(original), "image/png")},
        data={
            "prompt": "put a spoon beside the cup",
            "mask_box": "60,40,200,120",
            "num_inference_steps": "2",
        },
    )
    # The box is the same mask, and who asks how urgently is no part of the edit.
    assert boxed.headers["x-edit-cache"] == "hit"
    assert boxed.headers["x-edit-id"] == edit.id


def test_two_images_make_one_edit(client: openai.OpenAI) -> None:
    images = [
        ("first.png", encoded(photo("coffee", (300, 200))), "image/png"),
        ("second.jpg", encoded(photo("chelsea", (200, 260)), "JPEG"), "image/jpeg"),
    ]
    answer = client.images.edit(
        image=images,
        prompt="put the cat beside the cup",
        extra_body={"num_inference_steps": 2},
    )
    assert decoded(base64.b64decode(answer.data[0].b64_json)).shape == (200, 300, 3)


def test_streaming_sends_previews_and_then_the_image(client: openai.OpenAI) -> None:
    request = {
        "image": ("a.png", encoded(photo("astronaut", (320, 200))), "image/png"),
        "prompt": "turn the background into a beach",
        # Each attempt has previews of its own, and the miniature fails on photos.
        "extra_body": {"num_inference_steps": 8, "seed": 11, "max_attempts": 1},
    }
    events = list(client.images.edit(**request, stream=True, partial_images=2))
    assert [event.type for event in events] == [
        "image_edit.partial_image",
        "image_edit.partial_image",
        "image_edit.completed",
    ]
    assert [event.partial_image_index for event in events[:2]] == [0, 1]
    pictures = [decoded(base64.b64decode(event.b64_json)) for event in events]
    assert all(picture.shape == (200, 320, 3) for picture in pictures)
    assert (pictures[0] != pictures[1]).any()
    again = client.images.edit(**request)
    assert again.data[0].b64_json == events[-1].b64_json
    assert again.data[0].cache == "hit"


def test_the_record_holds_what_it_takes_to_make_the_edit_again(http: httpx.Client) -> None:
    form = {"prompt": "make it a Ghibli scene", "num_inference_steps": "3"}
    image = {"image": ("a.png", encoded(photo("coffee", (256, 256))), "image/png")}
    first = http.post("/v1/images/edits", files=image, data=form)
    assert first.status_code == 200
    result_id = first.headers["x-edit-id"]
    record = http.get(f"/v1/results/{result_id}/metadata").json()
    assert record["plan"]["edit_type"] == "semantic"
    assert record["plan"]["edit_type_reason"]
    assert record["request"]["edit_type"] == "auto"
    assert record["request"]["num_inference_steps"] == 3
    assert record["model"]["miniature"] is True
    assert record["model"]["revision"].startswith("local-")
    attempt = record["attempts"][0]["seconds"]
    assert {"queue", "encode", "denoise", "decode", "validate"} <= set(attempt)
    stored = http.get(f"/v1/results/{result_id}").content
    assert stored == base64.b64decode(first.json()["data"][0]["b64_json"])

    again = http.post(
        "/v1/images/edits",
        files=image,
        data={
            "prompt": record["plan"]["prompt"],
            "edit_type": record["plan"]["edit_type"],
            "true_cfg_scale": str(record["plan"]["true_cfg_scale"]),
            "num_inference_steps": str(record["plan"]["num_inference_steps"]),
            "seed": str(record["seed"]),
            "max_attempts": "1",
            "cache": "off",
        },
    )
    assert again.headers["x-edit-cache"] == "off"
    assert (decoded(stored) == decoded(base64.b64decode(again.json()["data"][0]["b64_json"]))).all()


def test_the_simple_form_answers_with_the_picture(http: httpx.Client) -> None:
    answer = http.post(
        "/edit",
        files={"file": ("a.webp", encoded(photo("chelsea", (233, 177)), "WEBP"), "image/webp")},
        data={"prompt": "remove the background", "edit_type": "appearance", "steps": "2"},
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (233, 177)
    assert answer.headers["x-edit-verdict"] in {"pass", "pass_unverified", "fail"}
    assert len(answer.headers.get_list("x-request-id")) == 1


def test_an_uploaded_file_is_named_in_a_json_request(http: httpx.Client) -> None:
    uploaded = http.post(
        "/v1/files", files={"file": ("a.png", encoded(photo("coffee", (128, 96))), "image/png")}
    ).json()
    assert (uploaded["width"], uploaded["height"]) == (128, 96)
    answer = http.post(
        "/v1/images/edits",
        json={
            "image": uploaded["id"],
            "prompt": "把杯子换成红色",
            "num_inference_steps": 2,
            "output_format": "jpeg",
            "n": 2,
        },
    )
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["data"]
    assert first["seed"] != second["seed"]
    assert Image.open(io.BytesIO(base64.b64decode(first["b64_json"]))).format == "JPEG"


def test_models_say_what_they_are(client: openai.OpenAI, http: httpx.Client) -> None:
    (model,) = client.models.list().data
    assert model.id == "qwen-image-edit-miniature"
    assert model.miniature is True
    assert http.get("/health").status_code == 200
    assert http.get("/ready").status_code == 200
