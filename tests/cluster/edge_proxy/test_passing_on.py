"""The edge passes on what belongs to the service, and nothing that Serve would obey."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from ray.serve._private.constants import (
    SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER,
    SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER,
    SERVE_INGRESS_ROUTER_HEADER_PREFIX,
    SERVE_MULTIPLEXED_MODEL_ID,
    SERVE_SESSION_ID,
)
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from benchmarks.edge_proxy import CONFIGURATION, EdgeProxy, check_configuration
from benchmarks.serving import HOST
from serve_app.api.event_stream import EventStream, event
from serve_app.serve_config import check
from tests.cluster.edge_proxy.clients import answer_on, assert_error, connection
from tests.cluster.edge_proxy.upstream import Upstream
from tests.conftest import ROOT

OBEYED_BY_SERVE = {
    SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER: "-1",
    SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER: "?1",
    SERVE_MULTIPLEXED_MODEL_ID: "mine",
    SERVE_MULTIPLEXED_MODEL_ID.replace("_", "-"): "mine",
    SERVE_SESSION_ID: "mine",
    SERVE_SESSION_ID.replace("-", "_"): "mine",
    f"{SERVE_INGRESS_ROUTER_HEADER_PREFIX}replica": "mine",
    "traceparent": f"00-{'1' * 32}-{'2' * 16}-01",
}
READ_BY_THE_SERVICE = {
    "authorization": "Bearer key",
    "content-encoding": "gzip",
    "content-type": "text/x-own",
    "idempotency-key": "key-1",
    "if-none-match": '"tag"',
    "last-event-id": "7",
}
ADDED_BY_THE_EDGE = {
    "connection",
    "content-length",
    "host",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
}

_ESTABLISHED, _KEEPALIVE = "01", "02"


def test_nginx_finds_nothing_to_complain_of(edge: EdgeProxy) -> None:
    said = check_configuration(edge)
    assert "test is successful" in said
    assert "[warn]" not in said


def test_its_limits_fit_those_behind_it() -> None:
    def set_to(directive: str) -> int:
        (value,) = re.findall(rf"^ *{directive} (\d+)[sm];", configuration, re.MULTILINE)
        return int(value)

    configuration = (CONFIGURATION / "nginx.conf").read_text()
    body_bytes = set_to("client_max_body_size") * 2**20
    begun_again_s = set_to("proxy_next_upstream_timeout")
    patience_s = set_to("proxy_read_timeout")
    served = [path for path in ROOT.glob("configs/*.yaml") if path.name != "bulk.yaml"]
    assert served
    for path in served:
        limits = check(path)[0].limits
        assert limits.body_bytes < body_bytes <= limits.body_bytes + 2**20, path.name
        assert limits.request_s <= begun_again_s, path.name
        timeout_s = yaml.safe_load(path.read_text())["http_options"]["request_timeout_s"]
        assert timeout_s < patience_s, path.name
    assert begun_again_s < patience_s


# What is passed on -----------------------------------------------------------------------


def test_only_what_the_service_reads_is_passed_on(http: httpx.Client, serve: Upstream) -> None:
    sent = OBEYED_BY_SERVE | READ_BY_THE_SERVICE | {"x-forwarded-for": "10.1.1.1", "cookie": "a=b"}
    assert http.post("/edit", content=b"body", headers=sent).status_code == 200
    (got,) = serve.received
    assert set(got.headers) == READ_BY_THE_SERVICE.keys() | ADDED_BY_THE_EDGE
    assert READ_BY_THE_SERVICE.items() <= dict(got.headers).items()
    assert got.headers["x-forwarded-for"].startswith("127.")
    assert got.headers["x-forwarded-proto"] == "https"
    assert got.body == b"body"


def test_the_edge_alone_makes_request_ids(
    http: httpx.Client, serve: Upstream, edge: EdgeProxy
) -> None:
    async def reflects(scope: Scope, receive: Receive, send: Send) -> None:
        own = {"x-request-id": serve.received[-1].headers["x-request-id"]}
        await Response("ok", headers=own)(scope, receive, send)

    serve.answering = reflects  # as Serve's proxy does
    answer = http.get("/v1/models?prompt=canary", headers={"x-request-id": "forged\tcanary"})
    (request_id,) = answer.headers.get_list("x-request-id")
    assert re.fullmatch(r"[0-9a-f]{32}", request_id)
    assert serve.received[-1].headers["x-request-id"] == request_id
    line = edge.line_of(request_id)
    assert line["request"] == "GET /v1/models"
    assert line["status"] == line["upstream_status"] == "200"
    assert "canary" not in str(edge.log())
    assert "canary" not in edge.errors()


def test_addresses_arrive_as_they_were_sent(http: httpx.Client, serve: Upstream) -> None:
    http.get("/v1/results/a%2Fb%20c?size=1%2F2")
    assert serve.received[0].path == "/v1/results/a%2Fb%20c"


@pytest.mark.parametrize(
    "path",
    [
        "/-/routes",
        "/-/healthz",
        "//-/routes",
        "/%2d/routes",
        "/-%2Froutes",
        "/v1/../-/routes",
        "/v1/monitor",
        "/v1//monitor",
        "/edge-error",
    ],
)
def test_what_is_not_for_the_world_is_not_there(
    edge: EdgeProxy, serve: Upstream, path: str
) -> None:
    with connection(edge) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        status, headers, body = answer_on(sock)
    assert status == 404
    assert_error(body, headers, "not_found")
    assert serve.received == []


@pytest.mark.parametrize("path", ["/health", "/ready", "/docs", "/v1/models"])
def test_what_is_for_the_world_is(http: httpx.Client, path: str) -> None:
    assert http.get(path).json() == {"answered": path}


def test_errors_of_the_service_stay_as_they_are(http: httpx.Client, serve: Upstream) -> None:
    said = {"error": {"code": "replica_lost"}}

    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse(said, 503, {"retry-after": "9"})(scope, receive, send)

    serve.answering = refuses
    answer = http.post("/edit")
    assert (answer.status_code, answer.json()) == (503, said)
    assert answer.headers.get_list("retry-after") == ["9"]
    assert len(serve.received) == 1  # two replicas have died of it already


# Streams and those who leave -------------------------------------------------------------


def test_events_come_as_they_happen(http: httpx.Client, serve: Upstream) -> None:
    seen = asyncio.Event()
    loop: list[asyncio.AbstractEventLoop] = []

    async def events() -> AsyncGenerator[bytes, None]:
        loop.append(asyncio.get_running_loop())
        yield event("progress", {"step": 1})
        await seen.wait()
        yield event("done", {})

    async def streams(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"request_id": "a"}
        await EventStream(events())(scope, receive, send)

    serve.answering = streams
    with http.stream("POST", "/v1/images/edits") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: progress"
        loop[0].call_soon_threadsafe(seen.set)
        assert "event: done" in list(lines)


def test_serve_learns_that_a_client_left(edge: EdgeProxy, serve: Upstream) -> None:
    serve.answering = serve.until_the_client_leaves
    with connection(edge) as sock:
        sock.sendall(b"POST /edit HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert serve.arrived.wait(20)
    assert serve.left.wait(20)


def test_silent_connections_are_kept_alive_on_both_sides(edge: EdgeProxy, serve: Upstream) -> None:
    """Towards the client for what is in between, towards Serve for a machine that is gone."""
    serve.answering = serve.until_the_client_leaves
    with connection(edge) as sock:
        sock.sendall(b"POST /edit HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert serve.arrived.wait(20)
        _wait_for_keepalive(own=edge.port, peer=sock.getsockname()[1])
        _wait_for_keepalive(peer=serve.port)
    assert serve.left.wait(20)


def _wait_for_keepalive(*, peer: int, own: int | None = None) -> None:
    """It begins when what was sent has been acknowledged."""
    deadline = time.monotonic() + 20
    while (timers := _timers(peer, own)) != [_KEEPALIVE]:
        assert time.monotonic() < deadline, timers


def _timers(peer: int, own: int | None) -> list[str]:
    """What the kernel waits for on open connections to the port ``peer`` (proc(5), net/tcp)."""
    connections = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [
        timer.partition(":")[0]
        for _, local, remote, state, _, timer, *_ in connections
        if state == _ESTABLISHED
        and int(remote.rpartition(":")[2], 16) == peer
        and own in (None, int(local.rpartition(":")[2], 16))
    ]


# TLS -------------------------------------------------------------------------------------


def test_http_is_sent_to_https(edge: EdgeProxy) -> None:
    with httpx.Client(base_url=f"http://{HOST}:{edge.plain_port}") as http:
        answer = http.get("/v1/models?a=b")
        assert answer.status_code == 308
        assert answer.headers["location"] == f"https://{HOST}/v1/models?a=b"
        assert http.get("/health").status_code == 204
    spoken_plainly = httpx.get(f"http://{HOST}:{edge.port}/v1/models")
    assert spoken_plainly.status_code == 400
    assert_error(spoken_plainly.content, spoken_plainly.headers, "invalid_value")


@pytest.mark.usefixtures("serve")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_of_today(edge: EdgeProxy, version: ssl.TLSVersion) -> None:
    trust = edge.trust
    trust.minimum_version = trust.maximum_version = version
    answer = httpx.get(f"{edge.url}/health", verify=trust)
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["server"] == "nginx"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_no_tls_of_yesterday(edge: EdgeProxy) -> None:
    trust: Any = edge.trust
    trust.set_ciphers("ALL:@SECLEVEL=0")
    trust.minimum_version = trust.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError, match=r"(?i)version|protocol"):
        httpx.get(f"{edge.url}/health", verify=trust)
