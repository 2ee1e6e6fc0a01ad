"""Bodies, headers and addresses before any field is looked at."""

import gzip
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from serve_app.api.body_limit import BodyLimitMiddleware
from serve_app.api.error_responses import error_response
from serve_app.api.request_id import RequestIdMiddleware
from serve_app.errors import (
    DeadlineExceeded,
    EditFailed,
    EditServiceError,
    InvalidRequest,
    NotReady,
    Overloaded,
)
from tests.api.conftest import ADAPTER, LIMITS, PHOTO, Surface, check_error, data_url
from tests.images.containers import photo, saved

URL = "/v1/images/edits"
FORM = "multipart/form-data; boundary=b"
IMAGE_PART = (
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + PHOTO + b"\r\n"
)
PROMPT_PART = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx\r\n'
GOOD_FORM = IMAGE_PART + PROMPT_PART + b"--b--\r\n"


async def post(surface: Surface, content: object, content_type: str | None) -> httpx.Response:
    headers = {} if content_type is None else {"content-type": content_type}
    return await surface.client.post(URL, content=content, headers=headers)  # type: ignore[arg-type]


async def test_the_hand_made_form_is_good(surface: Surface) -> None:
    assert (await post(surface, GOOD_FORM, FORM)).status_code == 200
    assert (await post(surface, GOOD_FORM, FORM.upper().replace("=B", "=b"))).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "image/png", "x" * 1000],
)
async def test_other_kinds_of_body(surface: Surface, content_type: str | None) -> None:
    response = await post(surface, GOOD_FORM, content_type)
    check_error(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", GOOD_FORM),
        ("multipart/form-data; boundary=", GOOD_FORM),
        ("multipart/form-data; boundary=other", GOOD_FORM),
        (f"multipart/form-data; boundary={'x' * 500}", GOOD_FORM),
        (FORM, b""),
        (FORM, b"hello"),
        (FORM, GOOD_FORM[: len(GOOD_FORM) // 2]),
        (FORM, GOOD_FORM[:-6]),
        (FORM, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        (FORM, b"--b\r\n\r\nx\r\n--b--\r\n"),
        (FORM, b"--b\r\nX: " + b"y" * 100_000 + b"\r\n\r\nx\r\n--b--\r\n"),
        (FORM, b"--b\r\n\0bad: y\r\n\r\nx\r\n--b--\r\n"),
        (FORM, PROMPT_PART * 65 + b"--b--\r\n"),
        (FORM, PROMPT_PART.replace(b"prompt", b"\xff") + b"--b--\r\n"),
        ("application/json", b""),
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b"5"),
        ("application/json", b"\xff\xfe\xfd"),
        ("application/json", b"[" * 200_000),
        ("application/json", b'{"n": ' + b"9" * 10_000 + b"}"),
        ("application/json", b'{"n": NaN}'),
    ],
    ids=lambda value: ascii(value)[-30:],
)
async def test_malformed_bodies(surface: Surface, content_type: str, body: bytes) -> None:
    error = check_error(await post(surface, body, content_type), 400, "invalid_value")
    assert surface.service.requests == []
    assert "offset" not in error["message"]


@pytest.mark.parametrize("value", [b"0,", b"[],", b'{"a":0},', b"[[" * 10_000])
async def test_json_of_very_many_values_is_not_parsed(surface: Surface, value: bytes) -> None:
    body = b'{"prompt": "x", "image": [' + value * (8 * 2**20 // len(value)) + b"0]}"
    error = check_error(await post(surface, body, "application/json"), 400, "invalid_value")
    assert error["message"] == "The JSON body has too many values."


async def test_prompts_may_be_all_commas(surface: Surface) -> None:
    response = await surface.edit_json(prompt="," * 4000, negative_prompt="[{" * 2000)
    assert response.status_code == 200


async def test_text_that_is_not_utf8(surface: Surface) -> None:
    surrogate = GOOD_FORM.replace(b"\r\n\r\nx\r\n--b--", b"\r\n\r\n\xed\xa0\x80\r\n--b--")
    check_error(await post(surface, surrogate, FORM), 400, "invalid_value", "prompt")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "x"])
async def test_compressed_bodies(surface: Surface, encoding: str) -> None:
    response = await surface.client.post(
        URL,
        content=gzip.compress(GOOD_FORM),
        headers={"content-type": FORM, "content-encoding": encoding},
    )
    check_error(response, 415, "unsupported_media_type")


async def test_reading_stops_at_the_limit(surface: Surface) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        yield IMAGE_PART[:-2]
        while True:
            taken += 2**20
            yield b"\0" * 2**20

    response = await post(surface, endless(), FORM)
    check_error(response, 413, "payload_too_large")
    assert taken <= LIMITS.body_bytes + 2**20
    assert surface.service.requests == []


@pytest.mark.parametrize("length", [str(LIMITS.body_bytes + 1), "9" * 5000, "0" * 99 + "9" * 20])
async def test_an_announced_body_is_not_even_read(surface: Surface, length: str) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    response = await surface.client.post(
        URL, content=unread(), headers={"content-type": FORM, "content-length": length}
    )
    check_error(response, 413, "payload_too_large")


@pytest.mark.parametrize("length", ["1", "0", "-5", "x"])
async def test_a_lying_content_length_changes_nothing(length: str) -> None:
    seen = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal seen
        for _ in range(3):
            seen += len((await receive())["body"])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"12345", "more_body": True}

    async def send(message: Message) -> None: ...

    scope = {"type": "http", "headers": [(b"content-length", length.encode())]}
    with pytest.raises(EditServiceError) as caught:
        await BodyLimitMiddleware(app, 10)(scope, receive, send)
    assert (caught.value.status, seen) == (413, 10)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/results/x",
        "/v1/results/edit-" + "0" * 32,
        "/v1/results/edit-" + "0" * 32 + "/metadata",
        "/v1/results/..%2f..%2fetc%2fpasswd",
        "/v1/results/%2e%2e",
        "/v1/results/%2e%2e/metadata",
        "/v1/results/%00",
        "/v1/results/edit-" + "0" * 32 + "%00",
        "/v1/results/edit-" + "0" * 32 + "%0a",
        "/v1/files/img-" + "0" * 64,
        "/v1/files/img-" + "0" * 64 + "%0a",
        "/v1/files/..%5c..%5c",
        "/v1/files/" + "a" * 5000,
        "/v1/files/%ff%fe",
        "/v1/files/",
        "/nothing",
        "/v1/images/edits/",
    ],
)
async def test_unknown_addresses(surface: Surface, path: str) -> None:
    check_error(await surface.client.get(path), 404, "not_found")


async def test_unknown_models_and_methods(surface: Surface) -> None:
    client = surface.client
    check_error(await client.get("/v1/models/x"), 404, "model_not_found")
    response = await client.get(URL)
    check_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    check_error(await client.delete("/health"), 405, "method_not_allowed")


async def test_request_ids(surface: Surface) -> None:
    async def with_id(value: bytes) -> str:
        response = await surface.client.get("/health", headers={b"x-request-id": value})
        return response.headers["x-request-id"]

    assert await with_id(b"my-id_1.2") == "my-id_1.2"
    for bad in (b"", b"a b", b"x" * 65, b"a\tb", "é".encode(), b"<script>", b"a\n"):
        try:
            made = await with_id(bad)
        except httpx.LocalProtocolError:
            continue
        assert len(made) == 32
        assert made.encode() != bad
    error = await surface.client.get("/nothing", headers={"x-request-id": "mine"})
    assert error.json()["request_id"] == "mine"


async def test_a_server_may_send_the_request_id_itself() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["state"]["request_id"])(scope, receive, send)

    for in_headers in (True, False):
        transport = httpx.ASGITransport(RequestIdMiddleware(app, in_headers))
        async with httpx.AsyncClient(transport=transport, base_url="http://edits.test") as client:
            response = await client.get("/", headers={"x-request-id": "theirs"})
        assert response.text == "theirs"
        assert ("x-request-id" in response.headers) == in_headers


def test_clients_are_told_when_to_come_back() -> None:
    assert error_response(Overloaded("x", None, 0.2), "id").headers["retry-after"] == "1"
    assert error_response(NotReady("x", None, 2.5), "id").headers["retry-after"] == "3"
    for unsaid in (Overloaded("x"), NotReady("x")):
        assert error_response(unsaid, "id").headers["retry-after"] == "5"
    late = error_response(DeadlineExceeded("x"), "id")
    assert (late.status_code, late.headers["x-should-retry"]) == (504, "false")
    assert "retry-after" not in late.headers


class Twin(EditServiceError):
    status = 409
    retryable = True


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Overloaded("x"), "true"),
        (NotReady("x"), "true"),
        (Twin("x"), "true"),
        (DeadlineExceeded("x"), "false"),
        (EditFailed("x"), "false"),
        (EditServiceError("x"), "false"),
        (InvalidRequest("x"), None),
    ],
)
def test_clients_are_told_whether_to_come_back(error: EditServiceError, told: str | None) -> None:
    assert error_response(error, "id").headers.get("x-should-retry") == told


class TravelledError(Exception):
    """Like the base that Ray gives to errors it carries to another process."""


class TravelledInvalidRequestError(TravelledError, InvalidRequest):
    """Like what Ray makes of an ``InvalidRequest``: it has a cause and nothing else."""

    def __init__(self, cause: InvalidRequest) -> None:
        self.cause = cause
        self.args = (cause,)

    def __str__(self) -> str:
        return "Traceback, /home/somebody, canary"


async def test_an_error_from_another_process_is_the_same_error(surface: Surface) -> None:
    surface.service.failure = TravelledInvalidRequestError(InvalidRequest("Not so.", "size"))
    error = check_error(await surface.edit(), 400, "invalid_value", "size")
    assert error["message"] == "Not so."


async def test_an_error_that_lost_its_type_on_the_way(surface: Surface) -> None:
    surface.service.failure = TravelledError()
    surface.service.failure.cause = NotReady("Not yet.", None, 4.0)  # type: ignore[attr-defined]
    response = await surface.edit()
    check_error(response, 503, "not_ready")
    assert response.headers["retry-after"] == "4"


async def test_unexpected_errors_and_prompts_stay_private(
    surface: Surface, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "canary-prompt-8342"
    surface.service.failure = RuntimeError(f"bad prompt {canary}")
    response = await surface.edit(
        ("image", (f"{canary}.png", PHOTO)), prompt=canary, negative_prompt=canary
    )
    check_error(response, 500, "internal_error")
    surface.service.failure = None
    await surface.edit(("image", (f"{canary}.png", PHOTO)), prompt=canary)
    await surface.edit(prompt=canary + "\0")
    await surface.edit_json(image=f"http://{canary}/")
    logged = caplog.text + "".join(capfd.readouterr())
    assert canary not in logged + response.text
    assert response.json()["request_id"] in logged
    assert "RuntimeError" in logged


async def test_health_and_readiness(surface: Surface) -> None:
    client = surface.client
    assert (await client.get("/health")).json() == {"status": "ok"}
    assert (await client.get("/ready")).json() == {"status": "ready"}
    surface.service.warm = False
    assert (await client.get("/health")).json() == {"status": "ok"}
    response = await client.get("/ready")
    check_error(response, 503, "not_ready")
    assert int(response.headers["retry-after"]) > 0
    response = await client.get("/v1/models")
    check_error(response, 503, "not_ready")
    assert response.headers["retry-after"] == "3"


async def test_the_model(surface: Surface) -> None:
    (model,) = (await surface.client.get("/v1/models")).json()["data"]
    assert model == (await surface.client.get(f"/v1/models/{model['id']}")).json()
    assert model == {
        "id": "qwen-image-edit",
        "object": "model",
        "created": 0,
        "owned_by": "qwen-edit-serve",
        "family": "plus",
        "revision": "r" * 40,
        "miniature": True,
        "edits": ["recolour an object"],
        "max_images": 4,
        "dtype": "float32",
        "device": "cpu",
        "adapters": [{"name": "watercolor.v2", "revision": "a" * 64, "bytes": 1234}],
        "drafts": {"num_inference_steps": 4, "true_cfg_scale": 1.0},
    }


async def test_documentation(surface: Surface) -> None:
    assert (await surface.client.get("/docs")).status_code == 200
    document = (await surface.client.get("/openapi.json")).json()
    operations = [(p, m, o) for p, group in document["paths"].items() for m, o in group.items()]
    assert all(operation["summary"] for _, _, operation in operations)
    bodies = document["paths"][URL]["post"]["requestBody"]["content"]
    assert bodies.keys() == {"multipart/form-data", "application/json"}
    for body in bodies.values():
        fields = body["schema"]["properties"]
        assert {"image", "prompt", "n", "size", "seed", "stream"} <= fields.keys()
        assert "from 1 to 8" in fields["n"]["description"]
        assert {"mask", "mask_box", "lora", "priority", "deadline_s", "user"} <= fields.keys()
        assert "at most 540" in fields["deadline_s"]["description"]
        assert "white" in fields["mask"]["description"]
        assert all(field.get("description") for name, field in fields.items() if name != "image")
    text = json.dumps(document)
    assert "{max" not in text
    assert "{request" not in text
    references = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    assert references <= {
        f"#/components/schemas/{name}" for name in document["components"]["schemas"]
    }


async def test_documented_examples_are_good_requests(surface: Surface) -> None:
    document = (await surface.client.get("/openapi.json")).json()
    bodies = document["paths"][URL]["post"]["requestBody"]["content"]
    examples = [each["value"] for each in bodies["application/json"]["examples"].values()]
    form = bodies["multipart/form-data"]["schema"]["properties"]
    for example in examples:
        if "lora" in example:
            example["lora"]["name"] = ADAPTER.name
        # The box fits the photo that stands for the file.
        image = data_url(saved(photo(160, 120), "PNG"))
        assert (await surface.edit_json(**example | {"image": image})).status_code == 200
    picture = ("image", ("x.png", saved(photo(160, 120), "PNG")))
    lora = form["lora"]["example"].replace("watercolor", ADAPTER.name)
    response = await surface.edit(picture, lora=lora, mask_box=form["mask_box"]["example"])
    assert response.status_code == 200


def test_importing_the_surface_brings_neither_torch_nor_ray() -> None:
    code = "import sys, serve_app.api.app; print({'torch', 'ray', 'diffusers'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
