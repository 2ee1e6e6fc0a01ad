"""The whole service behind its edge: what users see is the service, not the proxies."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator

import httpx
import pytest

from benchmarks.edge_proxy import EdgeProxy, edge_proxy
from tests.cluster.edge_proxy.clients import assert_error, client
from tests.conftest import Service, decoded, encoded, photo

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

IMAGE = encoded(photo("coffee", (64, 64)))
FILES = {"image": ("a.png", IMAGE, "image/png")}


@pytest.fixture(scope="module")
def edge(service: Service) -> Iterator[EdgeProxy]:
    with edge_proxy(httpx.URL(service.url).port or 0) as running:
        yield running


@pytest.fixture
def http(edge: EdgeProxy) -> Iterator[httpx.Client]:
    with client(edge) as one:
        yield one


def test_an_edit_whose_forged_headers_count_for_nothing(
    service: Service, http: httpx.Client
) -> None:
    forged = {"x-request-timeout-seconds": "0.001", "x-request-id": "mine"}
    fields = {"prompt": "make it blue", "num_inference_steps": "3", "seed": "61"}
    past_the_edge = httpx.post(
        f"{service.url}/v1/images/edits", files=FILES, data=fields, headers=forged, timeout=60
    )
    assert past_the_edge.status_code == 408  # this is what the edge is for
    answer = http.post("/v1/images/edits", files=FILES, data=fields, headers=forged)
    assert answer.status_code == 200
    assert decoded(base64.b64decode(answer.json()["data"][0]["b64_json"])).shape == (64, 64, 3)
    assert answer.headers["x-request-id"] != "mine"


def test_an_edit_as_a_stream(http: httpx.Client) -> None:
    fields = {"prompt": "make it green", "num_inference_steps": "3", "stream": "true"}
    with http.stream("POST", "/v1/images/edits", files=FILES, data=fields) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [line for line in answer.iter_lines() if line.startswith("event: ")]
    assert events[-1] == "event: image_edit.completed"


def test_an_error_has_the_id_that_the_edge_gave(http: httpx.Client) -> None:
    answer = http.post("/v1/images/edits", content=b"a picture")
    assert answer.status_code == 415
    assert_error(answer.content, answer.headers, "unsupported_media_type")


def test_a_result_is_where_its_address_says(http: httpx.Client) -> None:
    fields = {"prompt": "make it red", "num_inference_steps": "2", "response_format": "url"}
    (image,) = http.post("/v1/images/edits", files=FILES, data=fields).json()["data"]
    url = httpx.URL(image["url"])
    assert (url.scheme, url.host, url.port) == ("https", "127.0.0.1", http.base_url.port)
    assert decoded(http.get(url).content).shape == (64, 64, 3)
