"""Bytes by name: whole or not at all, in a folder, in memory and in S3."""

import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path

import fsspec
import pytest

from serve_app.errors import ConfigurationError, NotReady
from serve_app.storage import atomic
from serve_app.storage.byte_store import ByteStore
from tests.bulk.s3 import S3, forget_file_systems, s3, s3_alone  # noqa: F401 fixtures

from .virtual_time import files_below


@pytest.fixture(params=["folder", "memory", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "folder":
            return str(tmp_path / "out")
        case "memory":
            return f"memory://{uuid.uuid4().hex}/out"
        case _:
            return f"{request.getfixturevalue('s3').url}/out"


def test_what_is_put_is_there_until_it_is_erased(root: str) -> None:
    store = ByteStore(root)
    assert store.get("a/b.json") is None
    assert not store.exists("a/b.json")
    assert store.written_at("a/b.json") is None
    store.erase("a/b.json")
    store.put("a/b.json", b"one")
    store.put("a/b.json", b"two")
    assert store.get("a/b.json") == b"two"
    assert store.exists("a/b.json")
    store.erase("a/b.json")
    assert store.get("a/b.json") is None
    assert not store.exists("a/b.json")


def test_names_are_those_below_a_folder(root: str) -> None:
    store = ByteStore(root)
    assert store.names("a") == []
    for name in ("a/2", "a/1", "a/deep/er/3", "b/4", "ab/5", "6"):
        store.put(name, b"")
    assert store.names("a") == ["a/1", "a/2", "a/deep/er/3"]
    assert store.names("") == ["6", "a/1", "a/2", "a/deep/er/3", "ab/5", "b/4"]


def test_what_others_write_and_erase_is_seen_at_once(root: str) -> None:
    store, other = ByteStore(root), ByteStore(root)
    assert store.names("a") == []
    other.put("a/1", b"one")
    assert store.names("a") == ["a/1"]
    assert store.exists("a/1")
    other.erase("a/1")
    assert not store.exists("a/1")
    assert store.names("a") == []


def test_what_another_process_writes_to_s3_is_seen_at_once(s3_alone: S3) -> None:  # noqa: F811
    store = ByteStore(s3_alone.url)
    assert store.names("") == []
    forget_file_systems()  # what a process knows, another one doesn't
    ByteStore(s3_alone.url).put("a", b"")
    assert store.names("") == ["a"]
    assert store.get("a") == b""


def test_unfinished_files_have_no_names(tmp_path: Path) -> None:
    store = ByteStore(str(tmp_path))
    store.put("a/1", b"")
    (tmp_path / "a" / f".2.0123{atomic.TEMPORARY_SUFFIX}").write_bytes(b"half")
    with store.writing("a/3"):
        assert store.names("") == ["a/1"]
    assert store.names("") == ["a/1", "a/3"]


def test_only_the_first_creates(root: str) -> None:
    store = ByteStore(root)
    assert store.create("a/lock", b"one")
    assert not store.create("a/lock", b"two")
    assert store.get("a/lock") == b"one"


@pytest.mark.parametrize("there", [False, True])
def test_a_store_without_exclusive_writes_is_looked_at_first(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    store = ByteStore(f"memory://{uuid.uuid4().hex}")
    if there:
        store.put("lock", b"one")
    pipe_file = store._fs.pipe_file

    def simple(path: str, data: bytes, mode: str = "overwrite") -> None:
        if mode == "create":
            raise OSError(errno.ENOSYS, "not implemented")
        pipe_file(path, data)

    monkeypatch.setattr(store._fs, "pipe_file", simple)
    assert store.create("lock", b"two") is not there
    assert store.get("lock") == (b"one" if there else b"two")


def test_a_file_is_there_when_all_of_it_is_written(root: str) -> None:
    store = ByteStore(root)
    store.put("a/file", b"old")
    with store.writing("a/file") as file:
        file.write(b"one ")
        assert store.get("a/file") == b"old"
        file.write(b"two")
        file.seek(0)
        file.write(b"O")
    assert store.get("a/file") == b"One two"
    assert store.names("") == ["a/file"]


def test_a_file_of_many_parts_arrives_whole(root: str) -> None:
    store = ByteStore(root)
    parts = [bytes([number]) * 2**20 for number in range(24)]
    with store.writing("file") as file:
        file.writelines(parts)
    assert store.get("file") == b"".join(parts)


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_file_whose_writer_fails_leaves_nothing(root: str, old: bytes | None) -> None:
    store = ByteStore(root)
    if old is not None:
        store.put("a/file", old)
    with suppress(KeyboardInterrupt), store.writing("a/file") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert store.get("a/file") == old
    if store.local is not None:
        assert files_below(store.local) == ({} if old is None else {"a/file": old})


def test_errors_of_the_writer_itself_stay_what_they_are(root: str) -> None:
    class OfALibrary(ValueError):
        pass

    with pytest.raises(OfALibrary), ByteStore(root).writing("file"):
        raise OfALibrary


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ByteStore(str(tmp_path))
    store.put("file", b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/path")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(NotReady, match="full"):
        store.put("file", b"new")
    with pytest.raises(NotReady, match="full") as caught, store.writing("file") as file:
        file.write(b"new")
    assert "secret" not in caught.value.message
    assert files_below(tmp_path) == {"file": b"old"}


def refusals(store: ByteStore) -> set[str]:
    """What each method says where none can do its work."""

    def writing() -> None:
        with store.writing("a") as file:
            file.write(b"x")

    messages = set()
    for call in (
        lambda: store.put("a", b"x"),
        lambda: store.create("a", b"x"),
        writing,
        lambda: store.get("a"),
        lambda: store.exists("a"),
        lambda: store.erase("a"),
        lambda: store.names("a"),
    ):
        with pytest.raises(NotReady) as caught:
            call()
        assert caught.value.retry_after_s is not None
        messages.add(caught.value.message)
    return messages


def test_a_server_that_is_away_is_told(s3_alone: S3) -> None:  # noqa: F811
    store = ByteStore(s3_alone.url)
    s3_alone.server.stop()
    assert refusals(store) == {"Storage does not answer. Try again later."}


def test_a_missing_bucket_is_told(s3: S3) -> None:  # noqa: F811
    (message,) = refusals(ByteStore("s3://there-is-none/out"))
    assert "no such bucket" in message


def test_missing_credentials_are_told(s3_alone: S3, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    forget_file_systems()
    (message,) = refusals(ByteStore(s3_alone.url))
    assert "refuses access" in message


def test_wrong_credentials_are_told(s3_alone: S3, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
    (message,) = refusals(ByteStore(s3_alone.url))
    assert "refuses access" in message


def test_mistakes_in_the_program_are_not_the_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    store = ByteStore(f"memory://{uuid.uuid4().hex}")

    def mistaken(*_: object, **__: object) -> None:
        raise TypeError

    monkeypatch.setattr(store._fs, "find", mistaken)
    with pytest.raises(TypeError):
        store.names("a")


def test_a_folder_is_known_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ByteStore("~/out").local == tmp_path / "out"
    assert ByteStore(f"file://{tmp_path}/out").local == tmp_path / "out"
    assert ByteStore("memory://out").local is None


@pytest.mark.parametrize("protocol", ["nowhere", "s3"])
def test_a_kind_of_storage_that_is_not_known_is_told(
    monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install some package")

    if protocol == "s3":
        monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(ConfigurationError, match=f"kind `{protocol}`"):
        ByteStore(f"{protocol}://bucket/out")
