"""The edge refuses what is too much, too slow or malformed, and nobody else notices."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from benchmarks.edge_load import half_open, upload_in_chunks
from benchmarks.edge_proxy import EdgeProxy, edge_proxy
from serve_app.config import LimitsConfig
from tests.cluster.edge_proxy.clients import (
    answer_on,
    assert_error,
    client,
    connection,
    new_address,
    sent_raw,
)
from tests.cluster.edge_proxy.upstream import Upstream

HALF_OPEN = 150
GIGABYTE = 10**9
HEAD = b"POST /edit HTTP/1.1\r\nHost: a\r\n"
OF_ONE_CLIENT, OF_ALL = 40, 200


# Bodies ----------------------------------------------------------------------------------


def test_what_the_service_would_take_reaches_it(http: httpx.Client, serve: Upstream) -> None:
    body = bytes(LimitsConfig().body_bytes + 1)  # the service says what is wrong with it
    assert http.post("/edit", content=body).status_code == 200
    assert serve.received[0].body == body


@pytest.mark.parametrize("stubborn", [False, True], ids=["stops at the answer", "sends on"])
async def test_a_gigabyte_in_chunks(edge: EdgeProxy, serve: Upstream, stubborn: bool) -> None:
    before = edge.memory()
    upload = await upload_in_chunks(edge, GIGABYTE, new_address(), stubborn)
    assert upload.status == 413
    assert_error(upload.body, upload.headers, "payload_too_large")
    assert upload.peak_memory - before < 20e6
    assert (upload.sent < GIGABYTE / 2) or stubborn
    assert serve.received == []
    with client(edge) as other:
        assert other.get("/health").status_code == 200
    assert not _kept_bodies(edge)


def test_a_length_that_is_too_much_is_refused_unread(edge: EdgeProxy, serve: Upstream) -> None:
    status, headers, body = sent_raw(edge, HEAD + b"Content-Length: 1000000000\r\n\r\n")
    assert status == 413
    assert_error(body, headers, "payload_too_large")
    assert serve.received == []


def test_a_slow_upload_does_not_reach_serve_before_it_is_whole(
    edge: EdgeProxy, http: httpx.Client, serve: Upstream
) -> None:
    with connection(edge) as sock:
        sock.sendall(HEAD + b"Content-Length: 200000\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 ")  # it reads now
        sock.sendall(bytes(199_999))
        assert http.get("/v1/models").status_code == 200
        assert serve.begun == ["/v1/models"]
        sock.sendall(b"\0")
        assert answer_on(sock)[0] == 200
    assert serve.received[1].body == bytes(200_000)


@pytest.mark.slow  # as long as the edge is patient
def test_an_upload_that_stops_is_given_up(edge: EdgeProxy, serve: Upstream) -> None:
    """Its length was a lie, or its client has gone to sleep."""
    with connection(edge) as sock:
        sock.sendall(HEAD + b"Content-Length: 200000\r\n\r\n" + bytes(100_000))
        assert _is_closed(sock)
    assert serve.received == []
    assert not _kept_bodies(edge)


def test_bytes_beyond_the_length_are_a_request_of_their_own(
    edge: EdgeProxy, serve: Upstream
) -> None:
    with connection(edge) as sock:
        sock.sendall(HEAD + b"Content-Length: 2\r\n\r\nokGARBAGE\r\n\r\n")
        assert answer_on(sock)[0] == 200
        status, headers, body = answer_on(sock)
    assert status == 400
    assert_error(body, headers, "invalid_value")
    assert [request.body for request in serve.received] == [b"ok"]


def test_where_no_body_can_be_kept(serve: Upstream) -> None:
    with edge_proxy(serve.port) as edge, client(edge) as http:
        (edge.folder / "tmp" / "body").rmdir()  # fails as a full disk does
        answer = http.post("/edit?prompt=canary", content=bytes(200_000))
        assert answer.status_code == 503
        assert_error(answer.content, answer.headers, "not_ready")
        assert http.post("/edit", content=b"small").status_code == 200
        assert edge.log()[-2]["request"] == "POST /edit"
        assert "canary" not in str(edge.log())
        assert "canary" not in edge.errors()


# Too many and too slow -------------------------------------------------------------------


@pytest.mark.slow
def test_half_open_headers_hold_nobody_up_and_are_closed(
    edge: EdgeProxy, http: httpx.Client
) -> None:
    with half_open(edge, HALF_OPEN, new_address()) as held:
        assert [http.get("/v1/models").status_code for _ in range(40)] == [200] * 40
        assert all(_is_closed(sock) for sock in held)


def test_one_client_has_a_rate_and_others_have_their_own(edge: EdgeProxy) -> None:
    with client(edge) as hasty, client(edge) as other:
        passed = 0
        while (answer := hasty.get("/v1/models")).status_code == 200:
            passed += 1
            assert passed < 1000
        assert other.get("/v1/models").status_code == 200
    assert passed >= 50
    assert answer.status_code == 429
    assert_error(answer.content, answer.headers, "overloaded")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["x-should-retry"] == "true"


def test_one_client_has_so_many_requests_at_once(serve: Upstream) -> None:
    serve.answering = serve.until_the_client_leaves
    address = new_address()
    with edge_proxy(serve.port) as edge, ExitStack() as stack:
        for _ in range(OF_ONE_CLIENT):
            _ask(stack, edge, address)
        _wait_for(serve, OF_ONE_CLIENT)
        _assert_no_room(stack, edge, address)
        _ask(stack, edge, new_address())
        _wait_for(serve, OF_ONE_CLIENT + 1)


def test_all_clients_together_have_so_many(serve: Upstream) -> None:
    """What they send and get waits on the disk."""
    serve.answering = serve.until_the_client_leaves
    with edge_proxy(serve.port) as edge, ExitStack() as stack:
        for _ in range(OF_ALL // OF_ONE_CLIENT):
            address = new_address()
            for _ in range(OF_ONE_CLIENT):
                _ask(stack, edge, address)
        _wait_for(serve, OF_ALL)
        _assert_no_room(stack, edge, new_address())
    assert len(serve.received) == OF_ALL


def _ask(stack: ExitStack, edge: EdgeProxy, address: str) -> socket.socket:
    sock = stack.enter_context(connection(edge, address))
    sock.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
    return sock


def _assert_no_room(stack: ExitStack, edge: EdgeProxy, address: str) -> None:
    status, headers, body = answer_on(_ask(stack, edge, address))
    assert status == 429
    assert_error(body, headers, "overloaded")


def _wait_for(serve: Upstream, requests: int) -> None:
    """Until so many have come; raises ``AssertionError`` after a minute."""
    deadline = time.monotonic() + 60
    while len(serve.received) < requests:
        assert time.monotonic() < deadline, len(serve.received)
        time.sleep(0.01)


def _is_closed(sock: socket.socket) -> bool:
    """Whether the edge ends the connection without an answer, which it may take its time for."""
    try:
        return sock.recv(65536) == b""
    except ConnectionError:
        return True


def _kept_bodies(edge: EdgeProxy) -> list[Path]:
    return [*(edge.folder / "tmp" / "body").iterdir()]
