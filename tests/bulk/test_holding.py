"""An output folder is one run's at a time: locks of folders, leases in object storage."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serve_app.bulk import holding
from serve_app.bulk.holding import NAME, Lease, hold
from serve_app.errors import NotReady, RunRefused
from serve_app.storage.byte_store import ByteStore

from .conftest import memory
from .s3 import S3, s3  # noqa: F401 a fixture

LONG_S = 1000.0
HOLDER = """
import subprocess, sys
from serve_app.bulk.holding import hold
from serve_app.storage.byte_store import ByteStore

with hold(ByteStore(sys.argv[1]), float(sys.argv[2])):
    # One that outlives its parent, with all that it inherits.
    subprocess.Popen([sys.executable, "-c", "input()"], close_fds=False)
    print("held", flush=True)
    input()
"""


@pytest.fixture(params=["memory", "s3"])
def remote(request: pytest.FixtureRequest) -> ByteStore:
    if request.param == "memory":
        return memory()
    return ByteStore(f"{request.getfixturevalue('s3').url}/out")


def age(store: ByteStore, by_s: float) -> None:
    """Make the lease in a memory store look as if it had been silent for ``by_s`` seconds."""
    lease = store._fs.store[store._path(NAME)]
    lease.created = datetime.now(UTC) - timedelta(seconds=by_s)


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_a_second_run_is_refused_until_the_first_ends(store: ByteStore) -> None:
    with hold(store, LONG_S) as held:
        held.check()
        for _ in range(2):
            with pytest.raises(RunRefused, match="Another bulk run is writing"), hold(store, 1.0):
                raise AssertionError("two at once")
        held.check()
    with hold(store, LONG_S) as held:
        held.check()


def test_a_run_that_fails_lets_the_next_one_in(store: ByteStore) -> None:
    with pytest.raises(ZeroDivisionError), hold(store, LONG_S):
        raise ZeroDivisionError
    with hold(store, LONG_S):
        pass


def test_a_lease_leaves_nothing_behind(remote: ByteStore) -> None:
    with hold(remote, LONG_S):
        assert remote.names("") == [NAME]
        with pytest.raises(RunRefused, match=r"try again in (999|1000|1001) s"), hold(remote, 1.0):
            pass
        assert remote.names("") == [NAME]
    assert remote.names("") == []


@contextmanager
def holder(root: str, silent_s: float) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds ``root``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, root, str(silent_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_folder_is_free_as_soon_as_its_holder_is_killed(tmp_path: Path) -> None:
    store = ByteStore(str(tmp_path))
    with holder(str(tmp_path), LONG_S) as process:
        with pytest.raises(RunRefused), hold(store, LONG_S):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with hold(store, LONG_S) as held:
            held.check()


def test_a_bucket_is_taken_over_after_the_silence_of_a_killed_holder(s3: S3) -> None:  # noqa: F811
    root = f"{s3.url}/out"
    refused = 0
    with ExitStack() as held, holder(root, 2.0) as process:
        with pytest.raises(RunRefused), hold(ByteStore(root), LONG_S):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        while True:
            try:
                held.enter_context(hold(ByteStore(root), 2.0)).check()
                break
            except RunRefused:
                refused += 1
    assert refused


def test_the_lease_is_renewed_in_a_thread(remote: ByteStore) -> None:
    with hold(remote, 0.5):
        first = remote.get(NAME)
        while remote.get(NAME) == first:
            pass


def test_what_is_silent_is_taken_over_and_its_holder_learns_it() -> None:
    store = memory()
    first, second = Lease(store, 60.0), Lease(store, 60.0)
    first.take()
    age(store, 59.0)
    with pytest.raises(RunRefused):
        second.take()
    age(store, 61.0)
    second.take()
    second.check()
    first.check()  # it can't know yet
    first.renew()
    for _ in range(2):
        with pytest.raises(RunRefused, match="lost its hold"):
            first.check()
    first.renew()
    first.give_back()
    second.renew()
    second.check()
    second.give_back()
    assert store.names("") == []


def test_renewed_it_is_not_silent() -> None:
    store = memory()
    first = Lease(store, 60.0)
    first.take()
    age(store, 100.0)
    first.renew()
    with pytest.raises(RunRefused):
        Lease(store, 60.0).take()


def test_the_holder_says_how_long_it_may_be_silent() -> None:
    store = memory()
    Lease(store, 60.0).take()
    age(store, 30.0)
    with pytest.raises(RunRefused, match="try again in 30 s"):
        Lease(store, 5.0).take()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"token": "x", "silent_s": "y"}'])
def test_a_broken_lease_is_one_of_an_unknown_holder(content: bytes) -> None:
    store = memory()
    store.put(NAME, content)
    with pytest.raises(RunRefused):
        Lease(store, 60.0).take()
    age(store, 61.0)
    Lease(store, 60.0).take()


def test_a_lease_without_a_time_is_never_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    store = memory()
    Lease(store, 60.0).take()
    monkeypatch.setattr(store, "written_at", lambda _: float("inf"))
    with pytest.raises(RunRefused) as caught:
        Lease(store, 60.0).take()
    assert "nan" not in caught.value.message


def test_a_run_that_is_cut_off_stops_before_another_may_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, clock = memory(), Clock()
    lease = Lease(store, 60.0, clock)
    lease.take()
    put = store.put

    def away(*_: object) -> None:
        raise NotReady("Storage does not answer.")

    monkeypatch.setattr(store, "put", away)
    clock.now += 40.0
    with pytest.raises(NotReady):
        lease.renew()
    lease.check()
    monkeypatch.setattr(store, "put", put)
    lease.renew()
    clock.now += 40.0
    lease.check()
    clock.now += 10.0
    with pytest.raises(RunRefused, match="did not answer"):
        lease.check()
    lease.renew()  # too late
    with pytest.raises(RunRefused):
        lease.check()


def test_a_lease_that_somebody_erased_is_lost() -> None:
    store = memory()
    lease = Lease(store, 60.0)
    lease.take()
    store.erase(NAME)
    lease.renew()
    with pytest.raises(RunRefused):
        lease.check()
    assert store.names("") == []


def test_the_lease_says_whose_it_is(remote: ByteStore) -> None:
    with hold(remote, LONG_S):
        said = json.loads(remote.get(NAME) or b"")
    assert said.keys() == {"token", "renewed_at", "silent_s"}


def removed(lock: Path) -> None:
    lock.unlink()


def replaced(lock: Path) -> None:
    other = lock.with_name("other")
    other.write_bytes(b"")
    other.rename(lock)


def moved_with_its_folder(lock: Path) -> None:
    lock.parent.rename(lock.parent.with_name("moved"))


def folder_replaced_by_a_file(lock: Path) -> None:
    moved_with_its_folder(lock)
    lock.parent.write_bytes(b"")


@pytest.mark.parametrize(
    "lose", [removed, replaced, moved_with_its_folder, folder_replaced_by_a_file]
)
def test_a_lock_whose_file_is_gone_is_lost(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    out = tmp_path / "out"
    with hold(ByteStore(str(out)), LONG_S) as held:
        held.check()
        lose(out / NAME)
        for _ in range(2):
            with pytest.raises(RunRefused, match="lost its hold"):
                held.check()


def test_of_two_that_both_locked_one_knows_that_it_lost(tmp_path: Path) -> None:
    store = ByteStore(str(tmp_path))
    with hold(store, LONG_S) as first:
        (tmp_path / NAME).unlink()
        with hold(store, LONG_S) as second:
            second.check()
            with pytest.raises(RunRefused):
                first.check()


def losing(times: int, lose: Callable[[Path], None], lock: Path) -> Callable[[int, int], None]:
    """``flock`` for which the file is lost just before it, so many times."""
    flock, left = fcntl.flock, iter(range(times))

    def late(file: int, how: int) -> None:
        if next(left, None) is not None:
            lose(lock)
        flock(file, how)

    return late


@pytest.mark.parametrize("lose", [removed, replaced])
def test_a_file_that_is_lost_before_it_is_locked_is_not_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(holding.fcntl, "flock", losing(2, lose, tmp_path / NAME))
    store = ByteStore(str(tmp_path))
    with hold(store, LONG_S) as held:
        held.check()
        with pytest.raises(RunRefused, match="Another bulk run"), hold(store, LONG_S):
            pass


def test_a_file_that_is_removed_again_and_again_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding.fcntl, "flock", losing(10_000, removed, tmp_path / NAME))
    with pytest.raises(RunRefused, match="again and again"), hold(ByteStore(str(tmp_path)), LONG_S):
        pass


def test_a_folder_that_can_not_be_looked_at_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with hold(ByteStore(str(tmp_path)), LONG_S) as held:
        with monkeypatch.context() as patched:
            patched.setattr(holding.os, "fstat", broken)
            with pytest.raises(NotReady):
                held.check()
        held.check()


def test_a_file_system_without_locks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(holding.fcntl, "flock", none)
    with pytest.raises(RunRefused, match="no locks"), hold(ByteStore(str(tmp_path)), LONG_S):
        pass


def test_a_folder_that_can_not_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(NotReady), hold(ByteStore(str(tmp_path / "out")), LONG_S):
        pass
