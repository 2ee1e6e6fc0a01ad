"""What may run twice is sent again if the proxy or the ingress dies under it, and nothing else."""

from __future__ import annotations

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from benchmarks.edge_proxy import edge_proxy
from benchmarks.serving import HOST
from tests.cluster.edge_proxy.clients import assert_error, client
from tests.cluster.edge_proxy.upstream import Upstream, answers, dying, ends_without_an_answer

REPEATED: list[tuple[str, str, dict[str, str]]] = [
    ("POST", "/v1/images/edits", {}),
    ("POST", "/edit", {}),
    ("POST", "/v1/files", {}),
    ("POST", "/v1/jobs", {"idempotency-key": "k"}),
    ("POST", "/v1/jobs/j1/fork", {"idempotency-key": "k"}),
    ("GET", "/v1/jobs", {}),
    ("PUT", "/v1/workflows/a", {}),
]
NOT_REPEATED: list[tuple[str, str, dict[str, str]]] = [
    ("POST", "/v1/jobs", {}),
    ("POST", "/v1/workflows/a/run", {}),
    ("POST", "/v1/jobs/j1/retry", {"idempotency-key": "k"}),
]


@pytest.mark.parametrize(("method", "path", "headers"), REPEATED)
def test_what_may_run_twice_is_tried_again(
    http: httpx.Client, serve: Upstream, method: str, path: str, headers: dict[str, str]
) -> None:
    async def dies_once(scope: Scope, receive: Receive, send: Send) -> None:
        now = ends_without_an_answer if len(serve.received) == 1 else answers
        await now(scope, receive, send)

    serve.answering = dies_once
    body = b"0123456789" * 50_000  # in a file by then
    assert http.request(method, path, content=body, headers=headers).status_code == 200
    first, second = serve.received
    assert first.body == second.body == body
    assert first.headers["x-request-id"] == second.headers["x-request-id"]


@pytest.mark.parametrize(("method", "path", "headers"), NOT_REPEATED)
def test_what_may_not_is_not(
    http: httpx.Client, serve: Upstream, method: str, path: str, headers: dict[str, str]
) -> None:
    serve.answering = ends_without_an_answer
    answer = http.request(method, path, content=b"{}", headers=headers)
    assert answer.status_code == 500
    assert len(serve.received) == 1


def test_nothing_is_tried_three_times(http: httpx.Client, serve: Upstream) -> None:
    serve.answering = ends_without_an_answer
    assert http.post("/edit").status_code == 500
    assert len(serve.received) == 2


def test_a_proxy_that_dies_is_stood_in_for(serve: Upstream) -> None:
    with dying() as dead, edge_proxy(dead, serve.port) as edge, client(edge) as http:
        statuses = [http.post("/edit", content=b"an image").status_code for _ in range(6)]
        tried = [line["upstream"] for line in edge.log()[-6:]]
    assert statuses == [200] * 6
    assert len(serve.received) == 6
    assert f"{HOST}:{dead}, {HOST}:{serve.port}" in tried


def test_nobody_behind_it() -> None:
    with dying() as dead, edge_proxy(dead) as edge, client(edge) as http:
        answer = http.post("/edit")
    assert answer.status_code == 503
    assert_error(answer.content, answer.headers, "not_ready")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["x-should-retry"] == "true"
