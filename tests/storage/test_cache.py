"""The result cache: bounded, checked, and never a reason to fail."""

import asyncio
import errno
import logging
import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.edits.result import EditResult
from serve_app.storage import cache, disk_tier
from serve_app.storage.cache import MemoryTier, ResultCache
from serve_app.storage.disk_tier import DiskTier

from .virtual_time import edit_result, files_below

MIB = 2**20


class Clock:
    """A time that stands still until it is moved, seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def entry(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


class TestMemory:
    def test_least_recently_used_leaves(self) -> None:
        a, b, c = (edit_result(i) for i in range(3))
        tier = MemoryTier(2 * a.nbytes)
        tier.put("a", a)
        tier.put("b", b)
        assert tier.get("a") is a
        tier.put("c", c)
        assert tier.get("b") is None
        assert tier.get("a") is a
        assert tier.nbytes == 2 * a.nbytes

    def test_too_large_is_not_kept_and_drops_what_it_replaces(self) -> None:
        small, large = edit_result(), edit_result(png=bytes(10_000))
        tier = MemoryTier(small.nbytes)
        tier.put("a", small)
        tier.put("a", large)
        assert tier.get("a") is None
        assert len(tier) == 0

    def test_a_discarded_entry_frees_its_bytes(self) -> None:
        result = edit_result()
        tier = MemoryTier(2 * result.nbytes)
        tier.put("a", result)
        tier.put("b", result)
        tier.discard("a")
        tier.discard("a")
        tier.discard("never there")
        assert tier.get("a") is None
        assert tier.get("b") is result
        assert tier.nbytes == result.nbytes


class TestMemoryForAWhile:
    """A tier whose entries have a time, by a clock that tests move."""

    KEEP_S = 60.0

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        clock = Clock()
        monkeypatch.setattr(cache, "TTLCache", partial(cache.TTLCache, timer=clock))
        return clock

    @pytest.fixture
    def tier(self, clock: Clock) -> MemoryTier:
        return MemoryTier(2 * edit_result().nbytes, self.KEEP_S)

    def test_nothing_is_kept_longer_however_often_it_is_used(
        self, clock: Clock, tier: MemoryTier
    ) -> None:
        tier.put("a", edit_result())
        for _ in range(3):
            clock.now += self.KEEP_S / 4
            assert tier.get("a") == edit_result()
        clock.now += self.KEEP_S / 4
        assert tier.get("a") is None
        assert (len(tier), tier.nbytes) == (0, 0)

    def test_what_is_put_again_has_its_time_again(self, clock: Clock, tier: MemoryTier) -> None:
        tier.put("a", edit_result(1))
        clock.now += self.KEEP_S * 0.75
        tier.put("a", edit_result(2))
        clock.now += self.KEEP_S * 0.75
        assert tier.get("a") == edit_result(2)

    def test_the_least_recently_used_leaves_as_ever(self, clock: Clock, tier: MemoryTier) -> None:
        for number, key in enumerate("abc"):
            tier.put(key, edit_result(number))
            if key == "b":
                assert tier.get("a") is not None
        assert [key for key in "abc" if tier.get(key) is not None] == ["a", "c"]
        assert tier.nbytes == 2 * edit_result().nbytes

    def test_too_large_is_not_kept(self, clock: Clock, tier: MemoryTier) -> None:
        tier.put("a", edit_result())
        tier.put("a", edit_result(png=bytes(10_000)))
        assert tier.get("a") is None

    def test_a_discarded_entry_is_gone_before_its_time(
        self, clock: Clock, tier: MemoryTier
    ) -> None:
        tier.put("a", edit_result())
        tier.discard("a")
        assert tier.get("a") is None
        tier.put("a", edit_result())
        clock.now += self.KEEP_S
        tier.discard("a")
        assert len(tier) == 0


class TestDisk:
    def test_round_trip_and_after_a_restart(self, tmp_path: Path) -> None:
        result = edit_result(png=b"\n\x00\n" * 100)
        tier = DiskTier(tmp_path / "deep" / "cache", MIB)
        tier.put("key", result)
        assert tier.get("key") == result
        again = DiskTier(tmp_path / "deep" / "cache", MIB)
        assert (len(again), again.nbytes) == (1, tier.nbytes)
        assert again.get("key") == result

    @given(png=st.binary(max_size=200), key=st.text(st.characters(codec="utf-8"), max_size=50))
    def test_any_bytes_under_any_key(
        self, tmp_path_factory: pytest.TempPathFactory, png: bytes, key: str
    ) -> None:
        tier = DiskTier(tmp_path_factory.mktemp("cache"), MIB)
        tier.put(key, edit_result(png=png))
        assert tier.get(key) == edit_result(png=png)
        assert tier.get(key + "x") is None

    @pytest.mark.parametrize("position", [0, 64, 65, 100, -1])
    def test_every_flipped_bit_is_a_miss_and_the_entry_goes(
        self, tmp_path: Path, position: int
    ) -> None:
        tier = DiskTier(tmp_path, MIB)
        tier.put("key", edit_result())
        data = bytearray(entry(tmp_path).read_bytes())
        data[position] ^= 1
        entry(tmp_path).write_bytes(data)
        assert tier.get("key") is None
        assert files_below(tmp_path) == {}
        assert tier.nbytes == 0

    @pytest.mark.parametrize("length", [0, 10, 65, 200])
    def test_truncated_entry_is_a_miss(self, tmp_path: Path, length: int) -> None:
        tier = DiskTier(tmp_path, MIB)
        tier.put("key", edit_result())
        entry(tmp_path).write_bytes(entry(tmp_path).read_bytes()[:length])
        assert tier.get("key") is None
        assert files_below(tmp_path) == {}

    def test_entry_of_another_key_or_version_is_a_miss(self, tmp_path: Path) -> None:
        tier = DiskTier(tmp_path, MIB)
        tier.put("other", edit_result())
        entry(tmp_path).rename(tmp_path / disk_tier._file_name("key"))
        assert tier.get("key") is None
        payload = b'{"key": "key", "result": {"unknown": 1}}\npng'
        digest = disk_tier.hashlib.sha256(payload).hexdigest().encode()
        (tmp_path / disk_tier._file_name("key")).write_bytes(digest + b"\n" + payload)
        assert tier.get("key") is None

    def test_stays_within_its_bytes_by_last_use_even_across_restarts(self, tmp_path: Path) -> None:
        results = {str(i): edit_result(i, png=bytes(1000)) for i in range(4)}
        size = len(disk_tier._encode_head("0", results["0"])) + 1000
        tier = DiskTier(tmp_path, 3 * size)
        for age, key in enumerate(["0", "1", "2"]):
            tier.put(key, results[key])
            os.utime(tmp_path / disk_tier._file_name(key), (1000 + age, 1000 + age))
        assert tier.get("0") is not None  # now the most recently used
        tier = DiskTier(tmp_path, 3 * size)
        tier.put("3", results["3"])
        assert tier.nbytes <= 3 * size
        assert tier.get("1") is None
        assert [key for key in results if tier.get(key) is not None] == ["0", "2", "3"]

    def test_smaller_bound_at_start_evicts(self, tmp_path: Path) -> None:
        tier = DiskTier(tmp_path, MIB)
        for i in range(4):
            tier.put(str(i), edit_result(i, png=bytes(1000)))
        half = tier.nbytes // 2
        assert DiskTier(tmp_path, half).nbytes <= half
        assert sum(map(len, files_below(tmp_path).values())) <= half

    def test_too_large_is_not_kept(self, tmp_path: Path) -> None:
        tier = DiskTier(tmp_path, 500)
        tier.put("key", edit_result(png=bytes(501)))
        assert files_below(tmp_path) == {}

    def test_only_own_files_are_touched_and_unfinished_ones_go(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        (tmp_path / "other.tmp").write_text("mine")
        half = tmp_path / f".{disk_tier._file_name('a')}.0123.tmp"
        half.write_text("half")
        os.utime(half, (0, 0))
        being_written = tmp_path / f".{disk_tier._file_name('b')}.0123.tmp"
        being_written.write_text("another shard's")
        tier = DiskTier(tmp_path, 0)
        assert tier.nbytes == 0
        assert set(files_below(tmp_path)) == {"notes.txt", "other.tmp", being_written.name}

    def test_full_disk_is_no_store_and_logged_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        tier = DiskTier(tmp_path, MIB)
        tier.put("old", edit_result())
        with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
            patch.setattr(disk_tier, "write_atomically", full)
            for _ in range(3):
                tier.put("key", edit_result())
        assert len(caplog.records) == 1
        assert tier.get("key") is None
        assert tier.get("old") == edit_result()
        tier.put("key", edit_result())
        assert tier.get("key") == edit_result()

    def test_folder_that_disappears_is_made_again(self, tmp_path: Path) -> None:
        folder = tmp_path / "cache"
        tier = DiskTier(folder, MIB)
        tier.put("a", edit_result())
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        assert tier.get("a") is None
        assert tier.nbytes == 0
        tier.put("a", edit_result())
        assert tier.get("a") == edit_result()

    def test_folder_that_can_not_be_made_is_no_cache(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        tier = DiskTier(tmp_path / "file" / "cache", MIB)
        tier.put("a", edit_result())
        tier.put("a", edit_result())
        assert tier.get("a") is None
        assert len(caplog.records) == 3  # open, write, read

    def test_a_discarded_entry_is_gone_after_a_restart_too(self, tmp_path: Path) -> None:
        tier = DiskTier(tmp_path, MIB)
        tier.put("a", edit_result(1))
        tier.put("b", edit_result(2))
        size = tier.nbytes
        tier.discard("a")
        tier.discard("a")
        tier.discard("never there")
        for one in (tier, DiskTier(tmp_path, MIB)):
            assert one.get("a") is None
            assert one.get("b") == edit_result(2)
            assert (len(one), one.nbytes) == (1, size // 2)
        assert len(files_below(tmp_path)) == 1
        tier.put("a", edit_result(3))
        assert tier.get("a") == edit_result(3)

    def test_an_entry_that_can_not_be_discarded_goes_on_counting(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def read_only(*_: object, **__: object) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        tier = DiskTier(tmp_path, MIB)
        tier.put("a", edit_result())
        size = tier.nbytes
        with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
            patch.setattr(Path, "unlink", read_only)
            tier.discard("a")
            tier.discard("a")
        assert len(caplog.records) == 1
        assert tier.nbytes == size
        tier.discard("a")
        assert tier.nbytes == 0

    @pytest.mark.parametrize("there_before", [False, True])
    def test_an_entry_that_is_written_while_it_is_read_is_counted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there_before: bool
    ) -> None:
        tier = DiskTier(tmp_path, MIB)
        smaller, larger = edit_result(png=b"1"), edit_result(png=b"1" * 1000)
        if there_before:
            tier.put("a", smaller)
        read = Path.read_bytes

        def overtaken(path: Path) -> bytes:
            try:
                return read(path)
            finally:
                tier.put("a", larger)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", overtaken)
            assert tier.get("a") == (smaller if there_before else None)
        assert tier.nbytes == sum(map(len, files_below(tmp_path).values()))
        assert tier.get("a") == larger

    async def test_many_threads(self, tmp_path: Path) -> None:
        size = len(disk_tier._encode_head("00", edit_result())) + 1000
        tier = DiskTier(tmp_path, 5 * size)

        def work(number: int) -> None:
            key = f"{number % 10:02}"
            result = edit_result(number % 10, png=bytes([number % 10]) * 1000)
            tier.put(key, result)
            assert tier.get(key) in (None, result)

        await asyncio.gather(*(asyncio.to_thread(work, i) for i in range(200)))
        assert sum(map(len, files_below(tmp_path).values())) <= 5 * size
        assert tier.nbytes == sum(map(len, files_below(tmp_path).values()))


class TestResultCache:
    async def test_disk_hits_are_promoted(self, tmp_path: Path) -> None:
        await ResultCache(MemoryTier(MIB), DiskTier(tmp_path, MIB)).put("key", edit_result())
        memory = MemoryTier(MIB)
        cache = ResultCache(memory, DiskTier(tmp_path, MIB))
        assert memory.get("key") is None
        assert await cache.get("key") == edit_result()
        assert memory.get("key") == edit_result()
        assert await cache.get("missing") is None

    async def test_without_a_disk(self) -> None:
        cache = ResultCache(MemoryTier(MIB), None)
        assert await cache.get("key") is None
        await cache.put("key", edit_result())
        assert await cache.get("key") == edit_result()

    async def test_entry_put_during_a_disk_read_wins(self, tmp_path: Path) -> None:
        old, new = edit_result(1), edit_result(2)
        memory = MemoryTier(MIB)

        class SlowDisk(DiskTier):
            def get(self, key: str) -> EditResult | None:
                memory.put(key, new)
                return old

        cache = ResultCache(memory, SlowDisk(tmp_path, MIB))
        assert await cache.get("key") is new
        assert await cache.get("key") is new

    async def test_a_discarded_entry_is_in_neither_tier(self, tmp_path: Path) -> None:
        cache = ResultCache(MemoryTier(MIB), DiskTier(tmp_path, MIB))
        await cache.put("a", edit_result(1))
        await cache.put("b", edit_result(2))
        await cache.discard("a")
        await cache.discard("never there")
        assert await cache.get("a") is None
        assert await cache.get("b") == edit_result(2)
        again = ResultCache(MemoryTier(MIB), DiskTier(tmp_path, MIB))
        assert await again.get("a") is None
        assert await again.get("b") == edit_result(2)

    async def test_an_entry_of_the_disk_alone_is_discarded(self, tmp_path: Path) -> None:
        await ResultCache(MemoryTier(MIB), DiskTier(tmp_path, MIB)).put("a", edit_result())
        cache = ResultCache(MemoryTier(MIB), DiskTier(tmp_path, MIB))
        await cache.discard("a")
        assert await cache.get("a") is None
        assert files_below(tmp_path) == {}

    async def test_discarding_without_a_disk(self) -> None:
        cache = ResultCache(MemoryTier(MIB), None)
        await cache.put("a", edit_result())
        await cache.discard("a")
        assert await cache.get("a") is None
