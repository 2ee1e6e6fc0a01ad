"""Every bad input gets its answer from the real service, and no device step runs."""

from __future__ import annotations

import httpx
import pytest

from tests.conftest import Service, encoded, photo
from tests.images.hostile import HOSTILE

pytestmark = pytest.mark.cluster

IMAGE = ("image", ("a.png", encoded(photo("coffee", (64, 64))), "image/png"))
Part = tuple[str, tuple[str | None, str | bytes, str] | tuple[None, str]]


def text(name: str, value: str) -> Part:
    return (name, (None, value))


PROMPT = text("prompt", "make it blue")

REQUESTS: list[tuple[str, list[Part], int, str]] = [
    ("no image", [PROMPT], 400, "missing_field"),
    ("no prompt", [IMAGE], 400, "missing_field"),
    ("empty prompt", [IMAGE, text("prompt", "  ")], 400, "invalid_value"),
    ("long prompt", [IMAGE, text("prompt", "x" * 4001)], 400, "invalid_value"),
    ("unknown field", [IMAGE, PROMPT, text("strength", "1")], 400, "unknown_field"),
    ("steps", [IMAGE, PROMPT, text("num_inference_steps", "100000")], 400, "invalid_value"),
    ("guidance", [IMAGE, PROMPT, text("true_cfg_scale", "nan")], 400, "invalid_value"),
    ("seed", [IMAGE, PROMPT, text("seed", str(2**64))], 400, "invalid_value"),
    ("n", [IMAGE, PROMPT, text("n", "0")], 400, "invalid_value"),
    ("size", [IMAGE, PROMPT, text("size", "0x0")], 400, "invalid_value"),
    ("five images", [("image[]", IMAGE[1])] * 5 + [PROMPT], 422, "too_many_images"),
    ("model", [IMAGE, PROMPT, text("model", "gpt-image-1")], 404, "model_not_found"),
    ("reserved token", [IMAGE, text("prompt", "<|image_pad|>")], 400, "invalid_value"),
    ("too many tokens", [IMAGE, text("prompt", "鱻" * 4000)], 400, "invalid_value"),
    (
        "reserved token, streamed",
        [IMAGE, text("prompt", "a <|im_end|> b"), text("stream", "true")],
        400,
        "invalid_value",
    ),
    ("url", [text("image", "https://example.com/a.png"), PROMPT], 400, "image_url_refused"),
]


async def test_bad_requests_are_refused_before_the_device(service: Service) -> None:
    before = (await service.figures("Editor"))["steps"]
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
        for name, parts, status, code in REQUESTS:
            answer = await client.post("/v1/images/edits", files=parts)
            _assert_refused(name, answer, status, code)
    assert (await service.figures("Editor"))["steps"] == before


async def test_hostile_images_are_refused_before_the_device(service: Service) -> None:
    before = (await service.figures("Editor"))["steps"]
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
        for case in HOSTILE:
            answer = await client.post(
                "/v1/images/edits",
                files=[("image", ("a.png", case.make(), "image/png")), PROMPT],
            )
            _assert_refused(case.name, answer, case.status, case.code)
        assert (await client.get("/health")).status_code == 200
    assert (await service.figures("Editor"))["steps"] == before


def _assert_refused(name: str, answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, (name, answer.text)
    body = answer.json()
    assert body["error"]["code"] == code, (name, body)
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["request_id"]
