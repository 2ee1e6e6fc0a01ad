"""Clients of the edge: each from an address of its own, so that none uses up another's rate."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from benchmarks.edge_proxy import EdgeProxy
from benchmarks.serving import HOST
from serve_app.errors import EditServiceError

_addresses = (f"127.{a}.{b}.1" for a, b in itertools.product(range(1, 250), repeat=2))


def new_address() -> str:
    """An address of this machine that no client had before."""
    return next(_addresses)


def client(edge: EdgeProxy) -> httpx.Client:
    """A client of the edge that nobody has counted yet."""
    transport = httpx.HTTPTransport(verify=edge.trust, local_address=new_address())
    return httpx.Client(base_url=edge.url, transport=transport, timeout=60)


@contextmanager
def connection(edge: EdgeProxy, address: str | None = None) -> Iterator[socket.socket]:
    """A connection for requests that no client library would send."""
    source = (address or new_address(), 0)
    with (
        socket.create_connection((HOST, edge.port), timeout=60, source_address=source) as plain,
        edge.trust.wrap_socket(plain, server_hostname=HOST) as secured,
    ):
        yield secured


def answer_on(sock: socket.socket) -> tuple[int, http.client.HTTPMessage, bytes]:
    """The next answer on a connection: status, headers, body."""
    response = http.client.HTTPResponse(sock)
    response.begin()
    return response.status, response.headers, response.read()


def sent_raw(edge: EdgeProxy, request: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
    """What the edge answers to these very bytes."""
    with connection(edge) as sock:
        sock.sendall(request)
        return answer_on(sock)


def assert_error(body: bytes, headers: Any, code: str) -> None:
    """The service's error body, with a type that the service has for ``code``."""
    told = json.loads(body)
    assert told.keys() == {"error", "request_id"}
    error = told["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert error["type"] == _types()[code]
    assert told["request_id"] == headers["x-request-id"]
    assert headers["content-type"] == "application/json"


def _types() -> dict[str, str]:
    """The type of each error of the service, by code."""
    found: dict[str, str] = {}
    kinds: list[type[EditServiceError]] = [EditServiceError]
    while kinds:
        kind = kinds.pop()
        found[kind.code] = kind.type
        kinds += kind.__subclasses__()
    return found
