"""Judging over HTTP through the whole graph."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.conftest import Service, decoded, encoded, photo

pytestmark = pytest.mark.cluster


def test_a_pair_is_judged_by_a_validator(service: Service) -> None:
    before = photo("astronaut", (320, 256))
    after = before.copy()
    after[60:110, 70:130] = (30, 160, 60)
    response = httpx.post(
        f"{service.url}/v1/validate",
        files={"original": ("a.png", encoded(before)), "edited": ("b.png", encoded(after))},
        data={"prompt": "add a green box", "picture": "true"},
        timeout=60,
    )
    body = response.json()
    assert response.status_code == 200, body
    assert (body["verdict"], body["edit_type"]) == ("pass_unverified", "appearance")
    assert decoded(base64.b64decode(body["picture"]["b64_json"])).shape[1] > 3 * 320
