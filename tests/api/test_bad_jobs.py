"""Every bad job has its exact answer, and nothing is stored for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import DATA_URL, PHOTO, Surface, check_error, data_url
from tests.api.job_client import Json, ids_of
from tests.images.containers import saved, solid
from tests.storage.virtual_time import files_below

UNKNOWN_ID = f"img-{'0' * 64}"
EDIT: Json = {"kind": "edit", "image": DATA_URL, "prompt": "x"}
CHAIN: Json = {"kind": "chain", "image": DATA_URL, "steps": [{"prompt": "x"}, {"prompt": "y"}]}
ITEMS: Json = {"kind": "edit", "items": [{"image": DATA_URL, "prompt": "x"}]}
MATRIX: Json = {"kind": "edit", "matrix": {"images": [DATA_URL], "prompts": ["x"]}}

BAD, MISSING, UNKNOWN = "invalid_value", "missing_field", "unknown_field"


def steps(*values: Any) -> Json:
    return CHAIN | {"steps": [*values]}


def items(*values: Any) -> Json:
    return ITEMS | {"items": [*values]}


def matrix(**values: Any) -> Json:
    return MATRIX | {"matrix": {**MATRIX["matrix"], **values}}


def without(values: Json, name: str) -> Json:
    return {other: value for other, value in values.items() if other != name}


PROMPT = {"prompt": "x"}
ITEM = ITEMS["items"][0]

# By topic: what is wrong, the code and the field that is told.
BAD_JOBS: dict[str, list[tuple[Json, str, str]]] = {
    "kinds": [
        ({}, MISSING, "kind"),
        (without(EDIT, "kind"), MISSING, "kind"),
        *(
            (EDIT | {"kind": kind}, BAD, "kind")
            for kind in ("workflow", "Edit", "", 1, ["edit"], {})
        ),
        (EDIT | {"kind": None}, MISSING, "kind"),
    ],
    "unknown fields": [
        (EDIT | {"colour": "red"}, UNKNOWN, "colour"),
        (EDIT | {"model": "qwen-image-edit"}, UNKNOWN, "model"),
        (EDIT | {"n": 2}, UNKNOWN, "n"),
        (EDIT | {"on_failure": "stop"}, UNKNOWN, "on_failure"),
        (EDIT | {"input": "a"}, UNKNOWN, "input"),
        (EDIT | {"variation": 1}, UNKNOWN, "variation"),
        (EDIT | {"c" * 100: 1}, UNKNOWN, "c" * 64),
        (CHAIN | {"colour": "red"}, UNKNOWN, "colour"),
        (CHAIN | {"concurrency": 2}, UNKNOWN, "concurrency"),
        (CHAIN | {"items": [ITEM]}, UNKNOWN, "items"),
        (CHAIN | {"prompt": "x"}, UNKNOWN, "prompt"),
        (EDIT | {"steps": [PROMPT]}, UNKNOWN, "steps"),
        (steps(PROMPT, PROMPT | {"colour": "red"}), UNKNOWN, "steps.1.colour"),
        (steps(PROMPT, PROMPT | {"image": DATA_URL}), UNKNOWN, "steps.1.image"),
        (steps(PROMPT | {"priority": 1}), UNKNOWN, "steps.0.priority"),
        (items(ITEM, ITEM | {"colour": "red"}), UNKNOWN, "items.1.colour"),
        (items(ITEM | {"input": "a"}), UNKNOWN, "items.0.input"),
        (matrix(seeds=[1]), UNKNOWN, "matrix.seeds"),
    ],
    "missing fields": [
        (without(EDIT, "image"), MISSING, "image"),
        (EDIT | {"image": None}, MISSING, "image"),
        (without(EDIT, "prompt"), MISSING, "prompt"),
        (without(CHAIN, "image"), MISSING, "image"),
        (without(CHAIN, "steps"), MISSING, "steps"),
        (steps({"seed": 1}), MISSING, "steps.0.prompt"),
        (steps(PROMPT, {}), MISSING, "steps.1.prompt"),
        (items(ITEM, PROMPT), MISSING, "items.1.image"),
        (items({"image": DATA_URL}), MISSING, "items.0.prompt"),
        (matrix(prompts=None), MISSING, "matrix.prompts"),
    ],
    "too few, too many": [
        (steps(), BAD, "steps"),
        (items(), BAD, "items"),
        (steps(*[PROMPT] * 1001), BAD, "steps"),
        (items(*[ITEM | {"image": UNKNOWN_ID}] * 1001), BAD, "items"),
        (matrix(images=[UNKNOWN_ID] * 40, prompts=["x"] * 40), BAD, "matrix"),
        (matrix(images=[]), BAD, "matrix.images"),
        (matrix(prompts=[]), BAD, "matrix.prompts"),
        (EDIT | {"image": []}, BAD, "image"),
        (EDIT | {"items": [{}], "matrix": MATRIX["matrix"]}, BAD, "matrix"),
    ],
    "types": [
        *(
            (CHAIN | {"steps": value}, BAD, "steps")
            for value in (4, "x", {}, None, True, {"0": PROMPT})
        ),
        *((ITEMS | {"items": value}, BAD, "items") for value in (4, "x", {}, None)),
        *((MATRIX | {"matrix": value}, BAD, "matrix") for value in (4, "x", [], None)),
        *((steps(PROMPT, value), BAD, "steps.1") for value in ("x", 4, None, [PROMPT])),
        *((items(value), BAD, "items.0") for value in ("x", 4, None, [ITEM])),
        (matrix(images=DATA_URL), BAD, "matrix.images"),
        (matrix(prompts="x"), BAD, "matrix.prompts"),
        (matrix(prompts=["x", 4]), BAD, "matrix.prompts"),
        (matrix(prompts=["x", ""]), BAD, "matrix.prompts"),
    ],
    "values of jobs": [
        *((EDIT | {"priority": value}, BAD, "priority") for value in (11, 10, -1, 5.0, "5", True)),
        *(
            (EDIT | {"deadline_s": value}, BAD, "deadline_s")
            for value in (-1, 0, 30 * 24 * 3600 + 1, "9", True, 10**400)
        ),
        *(
            (EDIT | {"concurrency": value}, BAD, "concurrency")
            for value in (0, 17, -1, 1.5, "4", True)
        ),
        *((EDIT | {"partial_images": value}, BAD, "partial_images") for value in (-1, 4, "1", 1.0)),
        *(
            (CHAIN | {"on_failure": value}, BAD, "on_failure")
            for value in ("maybe", "", 1, [], "Stop")
        ),
        *(
            (EDIT | {"label": value}, BAD, "label")
            for value in ("a\nb", "a\tb", "", "  ", "x" * 101, "a\0", "a\u202eb", 5, ["x"])
        ),
        *((CHAIN | {"user": value}, BAD, "user") for value in ("a\nb", "", "x" * 65, 5)),
        *(
            (EDIT | {"webhook": value}, BAD, "webhook")
            for value in (
                "http://example.com/",
                "http://127.0.0.1.example.com/",
                "http://127.0.0.1@example.com/",
                "http://example.com#@127.0.0.1/",
                "http://example.com\\@127.0.0.1/",
                "http://user:password@127.0.0.1/",
                "http://user@127.0.0.1/",
                "http://localhost/",
                "http://[::1/",
                "file:///etc/passwd",
                "file://127.0.0.1/etc/passwd",
                "ftp://127.0.0.1/",
                "javascript:alert(1)",
                "//127.0.0.1/",
                "127.0.0.1",
                "no URL",
                "",
                "http://127.0.0.1/" + "x" * 2000,
                5,
                ["http://127.0.0.1/"],
            )
        ),
    ],
    "values of edits": [
        (EDIT | {"seed": -1}, BAD, "seed"),
        (EDIT | {"prompt": ""}, BAD, "prompt"),
        (EDIT | {"name": "a b"}, BAD, "name"),
        (steps(PROMPT, PROMPT | {"seed": 1.5}), BAD, "steps.1.seed"),
        (steps(PROMPT | {"prompt": "x" * 4001}), BAD, "steps.0.prompt"),
        (steps(PROMPT | {"description": "a\nb"}), BAD, "steps.0.description"),
        (steps(PROMPT | {"description": "x" * 301}), BAD, "steps.0.description"),
        *(
            (steps(PROMPT | {"name": value}), BAD, "steps.0.name")
            for value in ("", "a/b", "../a", "a\n", "é", "x" * 65, "-a", 5)
        ),
        (items(ITEM, ITEM | {"size": "1x1"}), BAD, "items.1.size"),
        (ITEMS | {"seed": "x"}, BAD, "items.0.seed"),
        (steps(PROMPT | {"mask": DATA_URL, "mask_box": [0, 0, 1, 1]}), BAD, "steps.0.mask_box"),
        (EDIT | {"mask": DATA_URL, "mask_box": [0, 0, 1, 1]}, BAD, "mask_box"),
    ],
    "names": [
        (steps(PROMPT | {"name": "a"}, PROMPT | {"name": "a"}), BAD, "steps.1.name"),
        (items(ITEM | {"name": "a"}, ITEM | {"name": "a"}), BAD, "items.1.name"),
        (ITEMS | {"items": [ITEM, ITEM], "name": "a"}, BAD, "items.1.name"),
        (steps(PROMPT | {"input": "b"}, PROMPT | {"name": "b"}), BAD, "steps.0.input"),
        (steps(PROMPT, PROMPT | {"name": "b", "input": "b"}), BAD, "steps.1.input"),
        (steps(PROMPT | {"name": "a"}, PROMPT | {"input": "A"}), BAD, "steps.1.input"),
        (steps(PROMPT, PROMPT | {"input": 0}), BAD, "steps.1.input"),
        (steps(PROMPT, PROMPT | {"input": ""}), BAD, "steps.1.input"),
    ],
    "images": [
        (EDIT | {"image": "../../etc/passwd"}, BAD, "image"),
        (EDIT | {"image": ""}, BAD, "image"),
        (EDIT | {"image": 5}, BAD, "image"),
        (EDIT | {"image": f"edit-{'0' * 32}"}, BAD, "image"),
        (EDIT | {"image": "data:image/png,x"}, BAD, "image"),
        (EDIT | {"image": "data:image/png;base64,?"}, BAD, "image"),
        (EDIT | {"image": "data:image/png;base64,"}, BAD, "image"),
        (items(ITEM, {"image": "../../etc/passwd", "prompt": "x"}), BAD, "items.1.image"),
        (CHAIN | {"image": [DATA_URL, "../x"]}, BAD, "image"),
        (steps(PROMPT | {"mask": "../x"}), BAD, "steps.0.mask"),
        *(
            (EDIT | {"image": url}, "image_url_refused", "image")
            for url in ("http://127.0.0.1/x.png", "//127.0.0.1/x", "file:///etc/passwd", "s3://a/b")
        ),
        (
            steps(PROMPT, PROMPT | {"mask": "https://127.0.0.1/"}),
            "image_url_refused",
            "steps.1.mask",
        ),
    ],
}

# What is well said, but can't be had: the status too.
UNUSABLE: list[tuple[Json, int, str, str]] = [
    (EDIT | {"image": UNKNOWN_ID}, 404, "not_found", "image"),
    (EDIT | {"image": "img-../../x"}, 404, "not_found", "image"),
    (CHAIN | {"image": UNKNOWN_ID}, 404, "not_found", "image"),
    (items({"image": UNKNOWN_ID, "prompt": "x"}), 404, "not_found", "items.0.image"),
    (matrix(images=[UNKNOWN_ID]), 404, "not_found", "image"),
    (EDIT | {"image": "@missing"}, 404, "not_found", "image"),
    (EDIT | {"image": "@"}, 404, "not_found", "image"),
    (items({"image": "@a", "prompt": "x"}), 404, "not_found", "items.0.image"),
    (steps(PROMPT, PROMPT | {"mask": "@../../x"}), 404, "not_found", "steps.1.mask"),
    (EDIT | {"image": [DATA_URL] * 5}, 422, "too_many_images", "image"),
    (CHAIN | {"image": [DATA_URL] * 5}, 422, "too_many_images", "image"),
    (EDIT | {"image": data_url(b"GIF89a")}, 415, "unsupported_media_type", "image"),
    (EDIT | {"image": data_url(PHOTO[:200])}, 422, "unusable_image", "image"),
    (
        items({"image": data_url(saved(solid("RGB", 0, (8, 8)), "PNG")), "prompt": "x"}),
        *(422, "unusable_image", "items.0.image"),
    ),
]


def case(value: object) -> str:
    """What to call a subtest about ``value``: its end, for it begins alike."""
    return ascii(value).replace(DATA_URL, "DATA_URL")[-100:]


async def post(
    surface: Surface, body: str | Json, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Send ``body`` as it is, also what is no JSON."""
    content = body if isinstance(body, str) else json.dumps(body)
    typed = {"content-type": "application/json", **(headers or {})}
    return await surface.client.post("/v1/jobs", content=content, headers=typed)


async def check_nothing_is_stored(surface: Surface, folder: Path) -> None:
    assert await ids_of(surface) == []
    assert files_below(folder / "files") == {}


@pytest.mark.parametrize("topic", BAD_JOBS)
async def test_bad_jobs(
    surface: Surface, tmp_path: Path, subtests: pytest.Subtests, topic: str
) -> None:
    for body, code, param in BAD_JOBS[topic]:
        with subtests.test(case(body)):
            error = check_error(await post(surface, body), 400, code, param)
            assert "ydantic" not in error["message"]
            await check_nothing_is_stored(surface, tmp_path)


async def test_images_that_can_not_be_had(
    surface: Surface, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for body, status, code, param in UNUSABLE:
        with subtests.test(case(body)):
            check_error(await post(surface, body), status, code, param)
            await check_nothing_is_stored(surface, tmp_path)


async def test_nothing_is_stored_unless_all_can_be_used(surface: Surface, tmp_path: Path) -> None:
    pictures = [saved(solid("RGB", (grey,) * 3, (64, 48)), "PNG") for grey in range(16)]
    images = [*map(data_url, pictures), UNKNOWN_ID]
    response = await post(surface, items(*({"image": image, "prompt": "x"} for image in images)))
    check_error(response, 404, "not_found", "items.16.image")
    await check_nothing_is_stored(surface, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:port/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/\0",
        "http://127.0.0.1/a\nb",
    ],
)
async def test_a_webhook_is_a_url_that_can_be_called(surface: Surface, url: str) -> None:
    check_error(await post(surface, EDIT | {"webhook": url}), 400, BAD, "webhook")


# Bodies that are no JSON, or only nearly.
BAD_JSON: list[tuple[str, str, str | None]] = [
    ("", BAD, None),
    ("{", BAD, None),
    ("[]", BAD, None),
    ('"x"', BAD, None),
    ("null", BAD, None),
    (json.dumps([EDIT]), BAD, None),
    ('{"kind": "edit", "kind": "chain"}', BAD, "kind"),
    ('{"kind": "chain", "steps": [{"prompt": "x", "prompt": "y"}]}', BAD, "prompt"),
    ('{"kind": "edit", "deadline_s": NaN}', BAD, None),
    ('{"kind": "edit", "deadline_s": 1e999, "prompt": "x"}', BAD, "deadline_s"),
    ('{"kind": "edit", "label": "\\ud800", "prompt": "x"}', BAD, "label"),
    ('{"kind": "edit", "webhook": "http://127.0.0.1/\\ud800"}', BAD, "webhook"),
    ('{"kind": "edit", "image": "@\\ud800"}', "not_found", "image"),
    ('{"kind": "edit", "image": "@a", "\\ud800": 1}', "not_found", "image"),
    ("[" * 10_000, BAD, None),
    (json.dumps(steps(*[{}] * 50_001)), BAD, None),
]


async def test_bad_json(surface: Surface, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for body, code, param in BAD_JSON:
        with subtests.test(body[:60]):
            status = 404 if code == "not_found" else 400
            check_error(await post(surface, body), status, code, param)
            await check_nothing_is_stored(surface, tmp_path)


async def test_bodies_of_other_types(surface: Surface, tmp_path: Path) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        response = await post(surface, EDIT, {"content-type": content_type})
        check_error(response, 415, "unsupported_media_type")
    response = await surface.client.post("/v1/jobs", data={"job": json.dumps(EDIT)})
    check_error(response, 415, "unsupported_media_type")
    await check_nothing_is_stored(surface, tmp_path)


FILE = ("x.png", PHOTO)
WITH_A = (None, json.dumps(EDIT | {"image": "@a"}))

# What a form is made of, and what it is told.
BAD_FORMS: list[tuple[list[tuple[str, Any]], int, str, str]] = [
    ([("a", FILE)], 400, MISSING, "job"),
    ([("image", FILE), ("prompt", (None, "x"))], 400, MISSING, "job"),
    ([("job", WITH_A)], 404, "not_found", "image"),
    ([("job", WITH_A), ("A", FILE)], 404, "not_found", "image"),
    ([("job", WITH_A), ("a", FILE), ("b", FILE)], 400, UNKNOWN, "b"),
    ([("job", (None, json.dumps(EDIT))), ("a", FILE)], 400, UNKNOWN, "a"),
    ([("job", WITH_A), ("a", (None, DATA_URL))], 400, BAD, "a"),
    ([("job", WITH_A), ("a", FILE), ("label", (None, "x"))], 400, BAD, "label"),
    ([("job", WITH_A), ("a", FILE), ("a", FILE)], 400, BAD, "a"),
    ([("job", WITH_A), ("job", WITH_A), ("a", FILE)], 400, BAD, "job"),
    ([("job", WITH_A), ("a", ("x.png", b"GIF89a"))], 415, "unsupported_media_type", "image"),
    ([("job", WITH_A), ("a", ("x.png", b""))], 400, BAD, "image"),
]


async def test_bad_forms(surface: Surface, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for parts, status, code, param in BAD_FORMS:
        with subtests.test([name for name, _ in parts]):
            response = await surface.client.post("/v1/jobs", files=parts)
            check_error(response, status, code, param)
            await check_nothing_is_stored(surface, tmp_path)
    for text in ("{", "[]", ""):
        form = [("job", (None, text)), ("a", FILE)]
        check_error(await surface.client.post("/v1/jobs", files=form), 400, BAD)


async def test_nothing_is_stored_for_a_bad_key(surface: Surface, tmp_path: Path) -> None:
    response = await post(surface, EDIT, {"idempotency-key": "a b"})
    check_error(response, 400, BAD, "Idempotency-Key")
    await check_nothing_is_stored(surface, tmp_path)
