"""Every bad request has its exact answer, and no edit runs for it."""

import json
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.api import sources
from serve_app.images.decode_pool import DecodePool
from tests.api.conftest import DATA_URL, PHOTO, Surface, check_error, data_url
from tests.images.hostile import HOSTILE, HostileCase

pytestmark = pytest.mark.asyncio(loop_scope="module")

URL = "/v1/images/edits"
GOOD = ("image", ("x.png", PHOTO))

# Wrong in a form, and as the same text in JSON.
BAD_TEXT: list[tuple[str, str]] = [
    *(("n", text) for text in ("0", "9", "-1", "1.5", "1000000000", "NaN", "", "one", "9" * 5000)),
    *(("seed", text) for text in ("-1", str(2**63), str(2**64), "1.5", "Random", "NaN", "")),
    *(("size", t) for t in ("0x0", "31x64", "10001x1000", "512", "1e3x512", "-512x512", "")),
    *(("size", t) for t in ("9000x9000", "3200x100", "512X512", "512x512 ", "٥١٢x512", "01x64")),
    *(("true_cfg_scale", text) for text in ("0.9", "20.1", "NaN", "inf", "-inf", "1e999", "x")),
    *(("num_inference_steps", text) for text in ("0", "201", "100000", "2.5", "")),
    *(("max_attempts", text) for text in ("0", "5", "x")),
    *(("output_compression", text) for text in ("-1", "101", "x")),
    *(("partial_images", text) for text in ("-1", "4", "x")),
    *((name, "x") for name in ("edit_type", "cache", "output_format", "response_format")),
    ("stream", "perhaps"),
    ("output_format", "gif"),
    *(("prompt", text) for text in ("", "   ", "\r\n\t", "x" * 4001, "\0", "a\0b", "\x1b[2J")),
    *(
        ("prompt", text)
        for text in ("a\rb", "\x7f", "\x85", "x\x1f", "\x0cx", "a\u202eb", "\u2066a", "x" * 100_000)
    ),
    ("negative_prompt", "x" * 4001),
    ("negative_prompt", "a\0b"),
    *(("priority", text) for text in ("-1", "10", "5.5", "NaN", "true", "", "high")),
    *(("deadline_s", t) for t in ("0", "-1", "540.1", "NaN", "inf", "-inf", "1e999", "", "soon")),
    *(("user", text) for text in ("", "  ", "x" * 65, "a\nb", "a\tb", "a\0b", "a\u202eb", "\x1b")),
    *(("quality", text) for text in ("", "x", "hd", "Draft", "low ")),
    *((name, "x" * 301) for name in ("expected_text", "old_text")),
    *((name, t) for name in ("expected_text", "old_text") for t in ("", " ", "a\nb", "a\tb", "\0")),
    *(("mask_box", text) for text in ("", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1,2,3,4.5", "[1,2,3")),
    *(("mask_box", text) for text in ("1 2 3 4", "1,2,3,NaN", "٠,0,9,9", "0,0,9," + "9" * 5000)),
    *(("lora", text) for text in ("", "watercolor.v2", "[]", "{}", "null", "5", "[" * 5000)),
    *(
        ("lora", text)
        for text in (
            '{"name": "a", "scale": NaN}',
            '{"name": "a", "scale": 1e999}',
            '{"name": "a", "scale": 4.01}',
            '{"name": "a", "scale": ' + "9" * 900 + "}",
            '{"name": "a", "scale": 1',
            '{"name": "a", "weight": 1}',
            '{"scale": 1}',
            '{"name": ""}',
            '{"name": "' + "a" * 65 + '"}',
            '{"name": "' + " " * 1000 + 'a"}',
        )
    ),
]

# Wrong by its type, which only JSON has.
WRONG_TYPES: dict[str, list[Any]] = {
    "n": [1.5, 1.0, True, "1", [1], {}, 1e9],
    "seed": [1.5, True, "5", -1, 2**63],
    "true_cfg_scale": ["4", True, [4], 0.5],
    "num_inference_steps": ["8", 8.0, True],
    "stream": ["true", 1, "yes"],
    "size": [512, [512, 512], True],
    "edit_type": [1, ["text"], {}, True],
    "cache": [1, [], {}],
    "prompt": [5, ["x"], {}, True, "\ud800", "a\udfffb"],
    "model": [5],
    "priority": [True, "5", 5.0, 10, -1, [5]],
    "deadline_s": [True, "5", [5], 0, 541, 10**400],
    "user": [5, True, ["x"], {}, "\ud800"],
    "mask_box": ["1,2,3,4", [1, 2, 3], [1, 2, 3, 4.0], [0, 0, 1, True], {}, 5, [0, 0, 9, 10**6]],
    "lora": [
        *("watercolor.v2", '{"name": "a"}', [], ["a"], 5, True, {}, {"name": 5}, {"name": None}),
        *({"name": name} for name in ("a/b", "../a", "a\\b", "a\0", "a b", "ä", "", "a\n")),
        *({"name": "a", "scale": scale} for scale in (4.5, -5, "1", True, None, [1], 10**400)),
        {"name": "a", "scale": 1, "path": "/etc"},
    ],
}
BAD_TYPES = [(field, value) for field, values in WRONG_TYPES.items() for value in values]


@pytest.fixture
def surface(lasting_surface: Surface) -> Surface:
    """One for all tests here, of which each finds it as new."""
    lasting_surface.service.renew()
    return lasting_surface


def name_of(value: object) -> str:
    return ascii(value)[:20]


async def refused(
    surface: Surface, response: Any, status: int, code: str, param: str | None = None
) -> str:
    error = check_error(response, status, code, param)
    assert surface.service.requests == []
    return error["message"]


@pytest.mark.parametrize(("field", "text"), BAD_TEXT, ids=name_of)
async def test_bad_text_in_a_form(surface: Surface, field: str, text: str) -> None:
    message = await refused(
        surface, await surface.edit(**{field: text}), 400, "invalid_value", field
    )
    assert f"`{field}` " in message


@pytest.mark.parametrize(("field", "value"), BAD_TEXT + BAD_TYPES, ids=name_of)
async def test_bad_values_in_json(surface: Surface, field: str, value: Any) -> None:
    body = json.dumps({"image": DATA_URL, "prompt": "x"} | {field: value})
    response = await surface.client.post(
        URL, content=body, headers={"content-type": "application/json"}
    )
    message = await refused(surface, response, 400, "invalid_value", field)
    assert "ydantic" not in message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
async def test_json_has_no_such_numbers(surface: Surface, number: str) -> None:
    body = f'{{"image": "{DATA_URL}", "prompt": "x", "true_cfg_scale": {number}}}'
    headers = {"content-type": "application/json"}
    response = await surface.client.post(URL, content=body, headers=headers)
    await refused(surface, response, 400, "invalid_value")
    huge = body.replace(number, "1e999")
    response = await surface.client.post(URL, content=huge, headers=headers)
    await refused(surface, response, 400, "invalid_value", "true_cfg_scale")


@pytest.mark.parametrize(
    "field",
    [
        *("moderation", "adapter", "tenant", "eta_s"),
        *(
            "background",
            "input_fidelity",
            "steps",
            "cfg_scale",
            "variation",
            "",
            "x" * 60,
            "préfix",
        ),
    ],
)
async def test_unknown_fields_are_never_ignored(surface: Surface, field: str) -> None:
    await refused(surface, await surface.edit(**{field: "x"}), 400, "unknown_field", field)
    await refused(surface, await surface.edit_json(**{field: None}), 400, "unknown_field", field)
    mask = await surface.edit(GOOD, (field, ("m.png", PHOTO)))
    await refused(surface, mask, 400, "unknown_field", field)


async def test_unknown_fields_with_wild_names(surface: Surface) -> None:
    body = f'{{"image": "{DATA_URL}", "prompt": "x", "\\ud800\\r\\nx": 1}}'
    response = await surface.client.post(
        URL, content=body, headers={"content-type": "application/json"}
    )
    await refused(surface, response, 400, "unknown_field", "\ud800\r\nx")
    long = await surface.edit_json(**{"y" * 5000: 1})
    await refused(surface, long, 400, "unknown_field", "y" * 64)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"partial_images": "2"}, "partial_images"),
        ({"partial_images": "0", "stream": "false"}, "partial_images"),
        ({"stream": "true", "n": "2"}, "n"),
        ({"stream": "true", "response_format": "url"}, "response_format"),
        ({"output_compression": "50"}, "output_compression"),
        ({"output_format": "jpeg", "response_format": "url"}, "output_format"),
        ({"seed": str(2**63 - 1), "n": "2"}, "seed"),
    ],
)
async def test_contradictions(surface: Surface, fields: dict[str, str], param: str) -> None:
    await refused(surface, await surface.edit(**fields), 400, "invalid_value", param)


async def test_text_sent_as_a_file(surface: Surface) -> None:
    response = await surface.edit(GOOD, ("seed", ("seed.txt", b"5")))
    await refused(surface, response, 400, "invalid_value", "seed")


async def test_missing_fields(surface: Surface) -> None:
    post = surface.client.post
    response = await post(URL, files=[GOOD])
    await refused(surface, response, 400, "missing_field", "prompt")
    response = await post(URL, files={"prompt": (None, "x")})
    await refused(surface, response, 400, "missing_field", "image")
    for body in ({"prompt": "x"}, {"prompt": "x", "image": None}, {"prompt": "x", "image": []}):
        await refused(surface, await post(URL, json=body), 400, "missing_field", "image")
    response = await post(URL, json={"image": DATA_URL, "prompt": None})
    await refused(surface, response, 400, "missing_field", "prompt")
    response = await post("/edit", files={"prompt": (None, "x")})
    await refused(surface, response, 400, "missing_field", "file")


async def test_unknown_models(surface: Surface) -> None:
    await refused(surface, await surface.edit(model="gpt-image-1"), 404, "model_not_found", "model")


async def test_too_many_images_before_any_is_decoded(surface: Surface) -> None:
    five = await surface.edit(*[("image[]", ("x", b"not an image"))] * 5)
    await refused(surface, five, 422, "too_many_images", "image[]")
    five = await surface.edit_json(image=["rubbish"] * 5)
    await refused(surface, five, 422, "too_many_images", "image")


async def test_more_images_than_the_loaded_model_takes(surface: Surface) -> None:
    surface.service.max_images = 1
    for field in ("image", "image[]"):
        two = await surface.edit(*[(field, ("x", b"not an image"))] * 2)
        await refused(surface, two, 422, "too_many_images", field)
    assert (await surface.edit()).status_code == 200


@pytest.mark.parametrize("fields", [{}, {"stream": "true"}], ids=str)
async def test_no_image_is_decoded_before_there_is_a_model(
    surface: Surface, fields: dict[str, str]
) -> None:
    surface.service.warm = False
    response = await surface.edit(("image", ("x", b"not an image")), **fields)
    await refused(surface, response, 503, "not_ready")


async def test_bad_base64_is_refused_before_any_image_is_decoded(
    surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def decode(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(DecodePool, "decode", decode)
    bad = await surface.edit_json(image=[DATA_URL, "data:image/png;base64,@@@@"])
    await refused(surface, bad, 400, "invalid_value", "image")


async def test_base64_is_converted_in_pieces_beside_the_event_loop(
    surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert, threads = sources._from_base64, set()

    def watched(text: str, param: str) -> bytes:
        threads.add(threading.current_thread())
        return convert(text, param)

    monkeypatch.setattr(sources, "_from_base64", watched)
    monkeypatch.setattr(sources, "_PIECE", 8)
    assert (await surface.edit_json(image=DATA_URL)).status_code == 200
    assert threads
    assert threading.main_thread() not in threads
    assert convert("QUJDREVGR0g=", "image") == b"ABCDEFGH"
    surface.service.requests.clear()
    for payload in ("QUJDRA==QUJD", "QUJDREVGRw=", "QUJDREVGR", "QUJDREV=QUJD", "QUJDREVG===="):
        bad = await surface.edit_json(image=f"data:image/png;base64,{payload}")
        await refused(surface, bad, 400, "invalid_value", "image")


async def test_the_mask_is_one_file_and_no_box_beside_it(surface: Surface) -> None:
    mask = ("mask", ("m.png", PHOTO))
    both = await surface.edit(GOOD, mask, mask_box="0,0,9,9")
    await refused(surface, both, 400, "invalid_value", "mask_box")
    both = await surface.edit_json(mask=DATA_URL, mask_box=[0, 0, 9, 9])
    await refused(surface, both, 400, "invalid_value", "mask_box")
    await refused(surface, await surface.edit(GOOD, mask, mask), 400, "invalid_value", "mask")
    several = await surface.edit_json(mask=[DATA_URL])
    await refused(surface, several, 400, "invalid_value", "mask")
    other = await surface.edit(GOOD, ("mask[]", ("m.png", PHOTO)))
    await refused(surface, other, 400, "unknown_field", "mask[]")


@pytest.mark.parametrize(
    ("mask", "status", "code"),
    [
        ("http://10.0.0.1/x.png", 400, "image_url_refused"),
        ("data:image/png;base64,@@@@", 400, "invalid_value"),
        ("img-" + "0" * 64, 404, "not_found"),
        ("img-../../etc/passwd", 404, "not_found"),
        ("white", 400, "invalid_value"),
        ({}, 400, "invalid_value"),
        (True, 400, "invalid_value"),
    ],
    ids=name_of,
)
async def test_masks_that_json_can_not_name(
    surface: Surface, mask: Any, status: int, code: str
) -> None:
    await refused(surface, await surface.edit_json(mask=mask), status, code, "mask")


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
async def test_hostile_masks(surface: Surface, case: HostileCase) -> None:
    response = await surface.edit(GOOD, ("mask", ("../../etc/passwd", case.make())))
    await refused(surface, response, case.status, case.code, "mask")


async def test_a_mask_with_too_many_bytes(surface: Surface) -> None:
    big = ("mask", ("x", PHOTO + b"\0" * (25 * 2**20)))
    await refused(surface, await surface.edit(GOOD, big), 413, "payload_too_large", "mask")


@pytest.mark.parametrize("name", ["unknown", "x..", "watercolor.V2", "a" * 64])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_unknown_adapter_is_refused_before_any_image_is_decoded(
    surface: Surface, name: str, stream: bool
) -> None:
    bad = data_url(b"not an image")
    lora = {"name": name}
    response = await surface.edit_json(image=bad, lora=lora, stream=stream)
    await refused(surface, response, 422, "unusable_adapter", "lora")
    form = await surface.edit(("image", ("x", b"not an image")), lora=json.dumps(lora))
    await refused(surface, form, 422, "unusable_adapter", "lora")


async def test_both_names_for_the_images(surface: Surface) -> None:
    both = await surface.edit(GOOD, ("image[]", ("y", PHOTO)))
    await refused(surface, both, 400, "invalid_value", "image[]")
    both = await surface.edit_json(images=[DATA_URL])
    await refused(surface, both, 400, "invalid_value", "images")


async def test_fields_given_twice(surface: Surface) -> None:
    twice = await surface.edit(GOOD, ("n", (None, "1")), ("n", (None, "2")))
    await refused(surface, twice, 400, "invalid_value", "n")
    body = f'{{"image": "{DATA_URL}", "prompt": "x", "prompt": "y"}}'
    headers = {"content-type": "application/json"}
    twice = await surface.client.post(URL, content=body, headers=headers)
    await refused(surface, twice, 400, "invalid_value", "prompt")
    twice = await surface.client.post(
        "/edit", files=[("file", ("x", PHOTO)), ("file", ("y", PHOTO)), ("prompt", (None, "x"))]
    )
    await refused(surface, twice, 400, "invalid_value", "file")


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        ("http://10.0.0.1/x.png", 400, "image_url_refused"),
        ("HTTPS://example.com/x.png", 400, "image_url_refused"),
        ("ftp://example.com/x.png", 400, "image_url_refused"),
        ("file:///etc/passwd", 400, "image_url_refused"),
        ("//example.com/x.png", 400, "image_url_refused"),
        ({"image_url": "http://10.0.0.1/x.png"}, 400, "image_url_refused"),
        ("data:image/png;base64,@@@@", 400, "invalid_value"),
        ("data:image/png;base64,iVBOR", 400, "invalid_value"),
        ("data:image/png;base64,é", 400, "invalid_value"),
        ("data:image/png;base64,", 400, "invalid_value"),
        ("data:image/png;base64", 400, "invalid_value"),
        ("data:image/png,abc", 400, "invalid_value"),
        ("data:", 400, "invalid_value"),
        (data_url(b"<html>", "text/html"), 415, "unsupported_media_type"),
        (data_url(b"<svg/>", "image/svg+xml"), 415, "unsupported_media_type"),
        (data_url(b"<html>"), 415, "unsupported_media_type"),
        ("img-" + "0" * 64, 404, "not_found"),
        ("img-../../etc/passwd", 404, "not_found"),
        ("img-%2e%2e", 404, "not_found"),
        ("img-\0", 404, "not_found"),
        ("iVBORw0KGgo", 400, "invalid_value"),
        ("", 400, "invalid_value"),
        (5, 400, "invalid_value"),
        (True, 400, "invalid_value"),
        ({}, 400, "invalid_value"),
        ({"file_id": 5}, 400, "invalid_value"),
        ({"file_id": "img-" + "0" * 64, "image_url": DATA_URL}, 400, "invalid_value"),
        ({"url": DATA_URL}, 400, "invalid_value"),
        ([[DATA_URL]], 400, "invalid_value"),
        ([DATA_URL, None], 400, "invalid_value"),
    ],
    ids=name_of,
)
async def test_images_that_json_can_not_name(
    surface: Surface, image: Any, status: int, code: str
) -> None:
    await refused(surface, await surface.edit_json(image=image), status, code, "image")


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
async def test_hostile_images(surface: Surface, case: HostileCase) -> None:
    response = await surface.edit(("image", ("../../etc/passwd", case.make())))
    await refused(surface, response, case.status, case.code, "image")


async def test_an_image_with_too_many_bytes(surface: Surface) -> None:
    big = PHOTO + b"\0" * (25 * 2**20)
    await refused(
        surface, await surface.edit(("image", ("x", big))), 413, "payload_too_large", "image"
    )


@pytest.mark.parametrize(
    ("field", "value", "status", "code"),
    [
        ("steps", "100000", 400, "invalid_value"),
        ("cfg_scale", "NaN", 400, "invalid_value"),
        ("edit_type", "x", 400, "invalid_value"),
        ("seed", "-1", 400, "invalid_value"),
        ("prompt", " ", 400, "invalid_value"),
        ("n", "1", 400, "unknown_field"),
        ("image", "x", 400, "unknown_field"),
        ("num_inference_steps", "4", 400, "unknown_field"),
        ("priority", "9", 400, "unknown_field"),
        ("mask_box", "0,0,9,9", 400, "unknown_field"),
    ],
)
async def test_the_simple_form_says_its_own_names(
    surface: Surface, field: str, value: str, status: int, code: str
) -> None:
    response = await surface.client.post(
        "/edit", files={"file": ("x", PHOTO)}, data={"prompt": "x", field: value}
    )
    message = await refused(surface, response, status, code, field)
    assert "num_inference" not in message
    assert "true_cfg" not in message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
field_names = (
    st.sampled_from(["image", "image[]", "images", "n", "size", "seed", "model", "edit_type"])
    | st.sampled_from(["true_cfg_scale", "stream", "partial_images", "cache", "output_format"])
    | st.sampled_from(["mask", "mask_box", "lora", "priority", "deadline_s", "user"])
    | st.text(max_size=5)
)
fuzz = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@fuzz
@given(fields=st.dictionaries(field_names | st.just("prompt"), json_values, max_size=4))
async def test_no_json_is_our_fault(surface: Surface, fields: dict[str, Any]) -> None:
    body = json.dumps({"image": DATA_URL, "prompt": "x"} | fields)
    response = await surface.client.post(
        URL, content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code < 500, response.text


@fuzz
@given(fields=st.lists(st.tuples(field_names, st.text() | st.binary()), max_size=4))
async def test_no_form_is_our_fault(
    surface: Surface, fields: list[tuple[str, str | bytes]]
) -> None:
    parts = [
        (name, ("f" if isinstance(value, bytes) else None, value))
        for name, value in fields
        if not any("\ud800" <= c <= "\udfff" for c in f"{name}{value!s}")
    ]
    response = await surface.edit(GOOD, *parts)
    assert response.status_code < 500, response.text
