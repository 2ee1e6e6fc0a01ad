"""Requests that could mean two things, or nothing, end at the edge."""

from __future__ import annotations

import pytest

from benchmarks.edge_proxy import EdgeProxy
from tests.cluster.edge_proxy.clients import assert_error, sent_raw
from tests.cluster.edge_proxy.upstream import Upstream

HEAD = b"POST /edit HTTP/1.1\r\nHost: a\r\n"

MALFORMED = {
    "two lengths": (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "length and chunks": (
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "an unknown encoding": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunks in HTTP/1.0": (
        b"POST /edit HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a chunk of no size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n", 400),
    "no host": (b"GET /v1/models HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "NUL in a header": (HEAD + b"X-A: a\0b\r\n\r\n", 400),
    "NUL in the address": (b"GET /v1/%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "above the root": (b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no request at all": (b"\x16\x03\x01 hello\r\n\r\n", 400),
    "a method in small letters": (b"get /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "HTTP/3.0": (b"GET /v1/models HTTP/3.0\r\nHost: a\r\n\r\n", 400),
    "an unknown method": (b"BREW /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "TRACE": (b"TRACE /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "CONNECT": (b"CONNECT /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "a long address": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "a long header": (HEAD + b"X-A: " + b"a" * 9000 + b"\r\n\r\n", 431),
    "many headers": (HEAD + (b"X-A: " + b"a" * 4000 + b"\r\n") * 20 + b"\r\n", 431),
}
CODES = {405: "method_not_allowed"}


@pytest.mark.parametrize(("request_", "expected"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_requests_end_here(
    edge: EdgeProxy, serve: Upstream, request_: bytes, expected: int
) -> None:
    status, headers, body = sent_raw(edge, request_)
    assert status == expected
    assert_error(body, headers, CODES.get(expected, "invalid_value"))
    assert serve.received == []


def test_a_line_end_in_a_header_forges_nothing(edge: EdgeProxy, serve: Upstream) -> None:
    """Bare line feeds end a header, as they may; what follows is a header, and not passed on."""
    forged = b"Idempotency-Key: a\nX-Request-Timeout-Seconds: -1\r\n"
    status, headers, _ = sent_raw(edge, HEAD + forged + b"Content-Length: 0\r\n\r\n")
    assert status == 200
    assert "x-request-timeout-seconds" not in serve.received[0].headers
    path = b"POST /edit%0d%0aX-Forged:%201 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    status, headers, _ = sent_raw(edge, path)
    assert (status, headers["x-forged"]) == (200, None)
    assert serve.received[1].path == "/edit%0d%0aX-Forged:%201"
    assert edge.log()[-1]["request"] == "POST /edit%0d%0aX-Forged:%201"


def test_old_http(edge: EdgeProxy, serve: Upstream) -> None:
    status, headers, _ = sent_raw(edge, b"GET /v1/models HTTP/1.0\r\n\r\n")
    assert (status, headers["connection"]) == (200, "close")
    assert len(serve.received) == 1
