"""An S3 server on this machine, for tests of what is stored there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import fsspec
import pytest
from moto.server import ThreadedMotoServer


@dataclass(frozen=True)
class S3:
    """A server and an empty bucket. ``url`` is that of the bucket."""

    server: ThreadedMotoServer
    bucket: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> S3:
    """A bucket of a test's own; processes that the test starts find it too."""
    return _bucket(_shared_server(), monkeypatch)


@pytest.fixture
def s3_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """The same with a server to stop, or to be refused by."""
    server = _server()
    forget_file_systems()
    yield _bucket(server, monkeypatch)
    forget_file_systems()
    server.stop()


def forget_file_systems() -> None:
    """Have the next store ask the environment again for its server and credentials."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@cache
def _shared_server() -> ThreadedMotoServer:
    forget_file_systems()
    return _server()


def _server() -> ThreadedMotoServer:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    return server


def _bucket(server: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch) -> S3:
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",  # a server that is gone stays gone
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    bucket = f"tests-{secrets.token_hex(4)}"
    # As stores have theirs: making another one takes a second.
    fsspec.filesystem("s3", use_listings_cache=False).mkdir(bucket)
    return S3(server, bucket)
