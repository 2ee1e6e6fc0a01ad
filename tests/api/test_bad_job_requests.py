"""Jobs are listed, watched and steered: every bad request has its exact answer."""

from __future__ import annotations

import pytest

from tests.api.conftest import DATA_URL, Surface, check_error
from tests.api.job_client import Json, accepted, chain, ids_of, steer

UNKNOWN_ID = f"img-{'0' * 64}"
PROMPT: Json = {"prompt": "x"}

BAD, MISSING, UNKNOWN = "invalid_value", "missing_field", "unknown_field"


async def test_bad_idempotency_keys(surface: Surface, subtests: pytest.Subtests) -> None:
    origin = await accepted(surface)
    edit = {"kind": "edit", "image": DATA_URL, "prompt": "x"}
    for key in ("", " ", "a b", "a\tb", "k" * 256, "é"):
        headers = {"Idempotency-Key": key.encode()}
        for url, body in (("/v1/jobs", edit), (origin["links"]["fork"], {"from_step": 0})):
            with subtests.test(key=key, url=url):
                response = await surface.client.post(url, json=body, headers=headers)
                check_error(response, 400, BAD, "Idempotency-Key")
                assert await ids_of(surface) == [origin["id"]]


BAD_FILTERS: list[tuple[str, str, str]] = [
    ("colour=red", UNKNOWN, "colour"),
    ("offset=1", UNKNOWN, "offset"),
    *((f"limit={text}", BAD, "limit") for text in ("0", "101", "-1", "x", "", "1.5", "1e1")),
    *((f"state={text}", BAD, "state") for text in ("done", "", "skipped", "QUEUED")),
    *((f"kind={text}", BAD, "kind") for text in ("workflow", "", "steps")),
    *((f"label={text}", BAD, "label") for text in ("", "a%0Ab", "x" * 101, "%00")),
    *((f"user={text}", BAD, "user") for text in ("", "x" * 65)),
    *(
        (f"{name}={text}", BAD, name)
        for name in ("created_after", "created_before")
        for text in ("2026-01-01T00:00:00", "2026-01-01", "yesterday", "", "NaN", "inf")
    ),
    *(
        (f"cursor={text}", BAD, "cursor")
        for text in ("x", "", "job-", "job-..", f"job-{'0' * 31}", f"job-{'A' * 32}", "img-1")
    ),
    ("limit=1&limit=2", BAD, "limit"),
    ("state=queued&state=running", BAD, "state"),
]


async def test_bad_filters(surface: Surface, subtests: pytest.Subtests) -> None:
    for query, code, param in BAD_FILTERS:
        with subtests.test(query):
            check_error(await surface.client.get(f"/v1/jobs?{query}"), 400, code, param)


async def test_ids_of_another_shape_are_unknown(
    surface: Surface, subtests: pytest.Subtests
) -> None:
    known = (await accepted(surface))["id"]
    for job_id in (
        "job-..",
        "%2e%2e",
        "job-",
        "job",
        f"job-{'0' * 32}",
        known.upper(),
        known.replace("job-", "img-"),
        f"{known}%0A",
        f"{known}%00",
        f" {known}",
        f"{known}0",
        "%25",
        "job-%d9%a1" + "0" * 31,
    ):
        url = f"/v1/jobs/{job_id}"
        with subtests.test(job_id):
            check_error(await surface.client.get(url), 404, "not_found")
            check_error(await surface.client.delete(url), 404, "not_found")
            check_error(await surface.client.get(f"{url}/events"), 404, "not_found")
            for how in ("cancel", "retry", "fork"):
                body = {"from_step": 0}
                response = await surface.client.post(f"{url}/{how}", json=body)
                check_error(response, 404, "not_found")
    assert await ids_of(surface) == [known]


async def test_addresses_take_their_methods_only(surface: Surface) -> None:
    job = await accepted(surface)
    for method, url in (
        ("DELETE", "/v1/jobs"),
        ("PUT", job["links"]["self"]),
        ("POST", job["links"]["events"]),
        ("GET", job["links"]["cancel"]),
        ("GET", job["links"]["retry"]),
        ("GET", job["links"]["fork"]),
    ):
        check_error(await surface.client.request(method, url), 405, "method_not_allowed")


async def test_bad_last_event_ids(surface: Surface, subtests: pytest.Subtests) -> None:
    job = await accepted(surface)
    for last in ("x", "-1", "1.5", "1 2", "9" * 19, "٣", "0x1", "1e3"):
        with subtests.test(last):
            headers = {"Last-Event-ID": last.encode()}
            response = await surface.client.get(job["links"]["events"], headers=headers)
            check_error(response, 400, BAD, "Last-Event-ID")


BAD_FORKS: list[tuple[Json, str, str]] = [
    ({}, MISSING, "from_step"),
    *(
        ({"from_step": value}, BAD, "from_step")
        for value in (-1, 2, 1000, 10**400, 0.0, "0", True, [0])
    ),
    ({"from_step": None}, MISSING, "from_step"),
    ({"from_step": 1}, BAD, "from_step"),  # the step before has not ended
    ({"from_step": 1, "steps": [PROMPT]}, BAD, "from_step"),
    ({"from_step": 0, "colour": "red"}, UNKNOWN, "colour"),
    ({"from_step": 0, "label": "x"}, UNKNOWN, "label"),
    *(({"from_step": 0, "steps": value}, BAD, "steps") for value in ([], 4, "x", {})),
    ({"from_step": 0, "steps": ["x"]}, BAD, "steps.0"),
    ({"from_step": 0, "steps": [PROMPT, {"seed": 1}]}, MISSING, "steps.1.prompt"),
    ({"from_step": 0, "steps": [PROMPT | {"colour": "red"}]}, UNKNOWN, "steps.0.colour"),
    ({"from_step": 0, "steps": [PROMPT] * 1001}, BAD, "steps"),
    ({"from_step": 1, "steps": [PROMPT] * 1000}, BAD, "steps"),
    ({"from_step": 1, "steps": [PROMPT | {"name": "a"}]}, BAD, "steps.0.name"),
    # Only what is taken over can be built on.
    ({"from_step": 0, "steps": [PROMPT | {"input": "a"}]}, BAD, "steps.0.input"),
    ({"from_step": 1, "steps": [PROMPT | {"input": "b"}]}, BAD, "steps.0.input"),
]


async def test_bad_forks(surface: Surface, subtests: pytest.Subtests) -> None:
    origin = await chain(surface, PROMPT | {"name": "a"}, PROMPT | {"name": "b"})
    for body, code, param in BAD_FORKS:
        with subtests.test(ascii(body)[:100]):
            response = await steer(surface, origin, "fork", body)
            check_error(response, 400, code, param)
            assert await ids_of(surface) == [origin["id"]]
    masked = {"from_step": 0, "steps": [PROMPT | {"mask": UNKNOWN_ID}]}
    check_error(await steer(surface, origin, "fork", masked), 404, "not_found", "steps.0.mask")
    imaged = {"from_step": 0, "steps": [PROMPT | {"image": DATA_URL}]}
    check_error(await steer(surface, origin, "fork", imaged), 400, UNKNOWN, "steps.0.image")
    files = {"from_step": 0, "steps": [PROMPT | {"mask": "@a"}]}
    check_error(await steer(surface, origin, "fork", files), 404, "not_found", "steps.0.mask")


async def test_forks_of_items_are_items(surface: Surface) -> None:
    origin = await accepted(surface, items=[{}, {}])
    without_image = {"from_step": 0, "steps": [PROMPT]}
    response = await steer(surface, origin, "fork", without_image)
    check_error(response, 400, MISSING, "steps.0.image")
    building = {"from_step": 0, "steps": [PROMPT | {"image": DATA_URL, "input": "a"}]}
    response = await steer(surface, origin, "fork", building)
    check_error(response, 400, UNKNOWN, "steps.0.input")
    assert await ids_of(surface) == [origin["id"]]
