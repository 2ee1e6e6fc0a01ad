"""Output folders of every kind for tests: on this machine, in memory, in S3."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from serve_app.storage.byte_store import ByteStore


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ByteStore:
    match request.param:
        case "folder":
            return ByteStore(str(tmp_path / "out"))
        case "memory":
            return memory()
        case _:
            return ByteStore(f"{request.getfixturevalue('s3').url}/out")


def memory() -> ByteStore:
    return ByteStore(f"memory://{uuid.uuid4().hex}")
