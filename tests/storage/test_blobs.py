"""Blobs: atomic, by strict names, local and remote."""

import asyncio
import errno
import os
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
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
    for call in (store.get(name), store.put(name, b""), store.exists(name), store.erase(name)):
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

    monkeypatch.setattr(store._store._fs, "pipe_file", full, raising=False)
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
    assert blobs.BlobStore("~/store")._store.root == str(tmp_path / "store")


def age(store: BlobStore, name: str, written_at: float) -> None:
    """Make a blob look as if it had been written at ``written_at``, seconds since 1970."""
    path = store._store._path(name)
    if store._store.local is not None:
        os.utime(path, (written_at, written_at))
    else:
        store._store._fs.store[path].created = datetime.fromtimestamp(written_at, UTC)


def id_of(number: int) -> str:
    return f"edit-{number:032x}"


async def put(store: BlobStore, number: int, *suffixes: str, kind: str = "results") -> list[str]:
    names = [blob_name(kind, id_of(number), suffix) for suffix in suffixes]
    for name in names:
        await store.put(name, b"data")
    return names


async def test_a_blob_is_there_until_it_is_erased(store: BlobStore) -> None:
    other = blob_name("results", ID, "json")
    assert not await store.exists(NAME)
    await store.put(NAME, b"one")
    await store.put(other, b"two")
    assert await store.exists(NAME)
    await store.erase(NAME)
    assert not await store.exists(NAME)
    assert await store.get(NAME) is None
    assert await store.get(other) == b"two"
    await store.erase(NAME)  # nothing is there any more
    await store.put(NAME, b"three")
    assert await store.get(NAME) == b"three"


async def test_old_blobs_are_listed_by_id(store: BlobStore) -> None:
    assert await store.ids_before("results", 1e10) == []
    for number in (3, 1, 2):
        for name in await put(store, number, "png", "json"):
            age(store, name, 1000.0 * number)
    (elsewhere,) = await put(store, 9, "png", kind="files")
    age(store, elsewhere, 0.0)
    assert await store.ids_before("results", 1000.0) == []
    assert await store.ids_before("results", 1000.5) == [id_of(1)]
    assert await store.ids_before("results", 3000.0) == [id_of(1), id_of(2)]
    assert await store.ids_before("results", 1e10) == [id_of(1), id_of(2), id_of(3)]
    assert await store.ids_before("files", 1e10) == [id_of(9)]
    assert await store.ids_before("others", 1e10) == []


async def test_what_was_written_again_is_new(store: BlobStore) -> None:
    (name,) = await put(store, 1, "png")
    age(store, name, 1000.0)
    assert await store.ids_before("results", 2000.0) == [id_of(1)]
    await store.put(name, b"again")
    assert await store.ids_before("results", 2000.0) == []


async def test_the_half_of_a_pair_is_listed_too(store: BlobStore) -> None:
    image, record = await put(store, 1, "png", "json")
    age(store, image, 1000.0)
    age(store, record, 1000.0)
    await store.erase(record)
    assert await store.ids_before("results", 2000.0) == [id_of(1)]


async def test_erased_blobs_are_not_listed(store: BlobStore) -> None:
    for name in await put(store, 1, "png", "json"):
        await store.erase(name)
    assert await store.ids_before("results", 1e10) == []


async def test_only_blobs_are_listed(tmp_path: Path) -> None:
    store = BlobStore(str(tmp_path))
    (name,) = await put(store, 1, "png")
    folder = (tmp_path / name).parent
    for foreign in (".edit-1.png.0123.tmp", "notes.txt", f"{id_of(2)}.exe", f"{id_of(3)}.png.bak"):
        (folder / foreign).write_text("mine")
    assert await store.ids_before("results", 1e10) == [id_of(1)]


@pytest.mark.parametrize(
    ("facts", "old"),
    [
        ({"mtime": 5.0}, True),
        ({"mtime": 50}, False),
        ({"LastModified": datetime.fromtimestamp(5, UTC)}, True),
        ({"last_modified": datetime.fromtimestamp(50, UTC)}, False),
        ({"updated": "1970-01-01T00:00:05Z"}, True),
        ({"updated": "1970-01-01T00:00:50.123000+00:00"}, False),
        ({"created": None, "size": 4}, False),
        ({}, False),
    ],
    ids=str,
)
async def test_times_are_read_as_each_file_system_tells_them(
    monkeypatch: pytest.MonkeyPatch, facts: dict[str, object], old: bool
) -> None:
    store = BlobStore(f"memory://{uuid.uuid4().hex}")
    monkeypatch.setattr(
        store._store._fs, "find", lambda *_, **__: {f"x/{NAME}": facts}, raising=False
    )
    assert await store.ids_before("results", 10.0) == ([ID] if old else [])


@pytest.mark.parametrize(
    ("method", "ask"),
    [
        ("info", lambda store: store.exists(NAME)),
        ("rm_file", lambda store: store.erase(NAME)),
        ("find", lambda store: store.ids_before("results", 1e10)),
    ],
    ids=["exists", "erase", "list"],
)
async def test_a_store_that_is_away_is_503_for_every_question(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    ask: Callable[[BlobStore], Awaitable[object]],
) -> None:
    store = BlobStore(f"memory://{uuid.uuid4().hex}")

    def away(*_: object, **__: object) -> None:
        raise ConnectionError("secret host")

    monkeypatch.setattr(store._store._fs, method, away, raising=False)
    with pytest.raises(NotReady) as caught:
        await ask(store)
    assert "secret" not in caught.value.message
