"""Blobs: atomic, by strict names, local and remote."""

import asyncio
import errno
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

import pytest

from serve_app.errors import NotReady
from serve_app.storage import atomic, blobs
from serve_app.storage.blobs import BlobStore, blob_name

from .virtual_time import files_below

ID = "edit-" + "ab" * 16
NAME = blob_name("results", ID, "png")


@pytest.fixture(params=["folder", "url"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return BlobStore(str(tmp_path) if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def test_names_are_sharded() -> None:
    assert blob_name("results", ID, "png") == f"results/ab/{ID}.png"


async def test_put_get_replace(store: BlobStore) -> None:
    assert await store.get(NAME) is None
    await store.put(NAME, b"one")
    await store.put(NAME, b"two")
    assert await store.get(NAME) == b"two"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../" + NAME,
        "results/../" + NAME,
        NAME + "\n",
        NAME + "/x",
        NAME + "\0",
        NAME.replace("/", "\\"),
        NAME.upper(),
        "results/ab/cd/" + ID + ".png",
        "results//" + ID + ".png",
        NAME.replace("png", "exe"),
        "results/ab/.tmp",
        "file:///results/ab/" + ID + ".png",
    ],
)
async def test_other_names_are_refused(store: BlobStore, name: str) -> None:
    for call in (store.get(name), store.put(name, b"")):
        with pytest.raises(ValueError, match="not the name"):
            await call


@pytest.mark.parametrize(
    "object_id", ["", "edit-", "edit-../../x", "edit", "edit-AB", "é-" + "0" * 32]
)
def test_ids_of_another_shape_have_no_name(object_id: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        blob_name("results", object_id, "png")


async def test_parallel_writes_leave_one_whole_blob(tmp_path: Path) -> None:
    store = BlobStore(str(tmp_path))
    contents = [bytes([i]) * 10_000 for i in range(20)]
    await asyncio.gather(*(store.put(NAME, data) for data in contents))
    assert await store.get(NAME) in contents
    assert list(files_below(tmp_path)) == [NAME]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
async def test_full_disk_is_503_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store = BlobStore(str(tmp_path))
    await store.put(NAME, b"old")

    def full(_: int) -> None:
        raise OSError(code, os.strerror(code), "/secret/path")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(NotReady) as caught:
        await store.put(NAME, b"new")
    assert caught.value.status == 503
    assert caught.value.retry_after_s is not None
    assert "full" in caught.value.message
    assert "secret" not in caught.value.message
    assert files_below(tmp_path) == {NAME: b"old"}
    assert await store.get(NAME) == b"old"


async def test_full_object_store_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    store = BlobStore(f"memory://{uuid.uuid4().hex}")

    def full(path: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(store._fs, "pipe_file", full, raising=False)
    with pytest.raises(NotReady):
        await store.put(NAME, b"")


async def test_storage_that_is_away_is_503(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file where the folder should be")
    store = BlobStore(str(tmp_path / "root"))
    with pytest.raises(NotReady, match="does not answer"):
        await store.put(NAME, b"")


def test_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def parts() -> Iterable[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic.write_atomically(tmp_path / "folder" / "file", parts(), durable=False)
    assert files_below(tmp_path) == {}


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert blobs.BlobStore("~/store")._root == str(tmp_path / "store")
