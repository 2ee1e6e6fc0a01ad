"""One edge for the tests of a module, and behind it a server that notes what it gets."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import httpx
import pytest

from benchmarks.edge_proxy import EdgeProxy, edge_proxy
from tests.cluster.edge_proxy.clients import client
from tests.cluster.edge_proxy.upstream import Upstream, answers, upstream


@pytest.fixture(scope="module")
def running_upstream() -> Iterator[Upstream]:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def edge(running_upstream: Upstream) -> Iterator[EdgeProxy]:
    with edge_proxy(running_upstream.port) as running:
        yield running


@pytest.fixture
def serve(running_upstream: Upstream) -> Upstream:
    """What stands where Serve's proxy would: it has received nothing yet, and answers 200."""
    running_upstream.answering = answers
    running_upstream.begun.clear()
    running_upstream.received.clear()
    return running_upstream


@pytest.fixture
def http(edge: EdgeProxy, serve: Upstream) -> Iterator[httpx.Client]:
    with client(edge) as one:
        yield one
