"""What a run was started with: kept, compared, and refused where it differs."""

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.bulk.run_record import (
    FORMAT,
    ManifestFacts,
    RunRecord,
    differences,
    require_same,
)
from serve_app.errors import RunRefused
from serve_app.storage.byte_store import ByteStore

MANIFEST = ManifestFacts("csv", "ab" * 32, rows=1200, invalid=3)
OPTIONS = {"model": {"id": "tiny", "steps": 4}, "planning": {"max_attempts": 2}, "sizes": [1, 2.5]}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def started(
    options: dict[str, Any] = OPTIONS, manifest: ManifestFacts = MANIFEST, **facts: Any
) -> RunRecord:
    given = {"id": "0123abcd", "created_at": 1.8e9, "service_version": "1.2.3"} | facts
    return RunRecord(manifest=manifest, options=options, **given)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    store = ByteStore(str(tmp_path))
    assert RunRecord.read(store) is None
    record = started()
    record.write(store)
    assert RunRecord.read(store) == record
    assert json.loads((tmp_path / "run.json").read_text()) == {
        "id": "0123abcd",
        "created_at": 1.8e9,
        "service_version": "1.2.3",
        "manifest": {"kind": "csv", "digest": "ab" * 32, "rows": 1200, "invalid": 3},
        "options": OPTIONS,
        "format": FORMAT,
    }


@given(options=st.dictionaries(st.text(), json_values, max_size=4))
def test_what_is_read_again_is_the_same_run(options: dict[str, Any]) -> None:
    store = ByteStore(f"memory://{uuid.uuid4().hex}")
    record = started(options)
    record.write(store)
    before = RunRecord.read(store)
    assert before is not None
    require_same(before, started(options, id="89abcdef"))


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"format": 1}', '{"format": "x"}', "\ud800", "[" * 100_000],
    ids=lambda text: text[:20].encode("ascii", "replace").decode(),
)
def test_a_broken_record_is_refused(content: str) -> None:
    store = ByteStore(f"memory://{uuid.uuid4().hex}")
    store.put("run.json", content.encode(errors="surrogatepass"))
    with pytest.raises(RunRefused, match="can't be read"):
        RunRecord.read(store)


def test_a_record_of_the_wrong_types_is_refused(tmp_path: Path) -> None:
    store = ByteStore(str(tmp_path))
    started().write(store)
    said = json.loads((tmp_path / "run.json").read_text())
    said["manifest"]["rows"] = "many"
    store.put("run.json", json.dumps(said).encode())
    with pytest.raises(RunRefused, match="can't be read"):
        RunRecord.read(store)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    store = ByteStore(str(tmp_path))
    started(format=FORMAT + 1).write(store)
    with pytest.raises(RunRefused, match="newer version"):
        RunRecord.read(store)


@pytest.mark.parametrize(
    ("before", "now", "lines"),
    [
        ({}, {}, []),
        ({"a": {"b": 2}}, {"a": {"b": 2}}, []),
        ({"a": {"b": 2}}, {"a": {"b": 3}}, ["`a.b` was 2, is 3"]),
        ({"a": "2"}, {"a": 2}, ['`a` was "2", is 2']),
        ({"a": True}, {"a": 1}, ["`a` was true, is 1"]),
        ({"a": None}, {"a": "x"}, ['`a` was null, is "x"']),
        ({"a": 2.0, "b": [1.0]}, {"a": 2, "b": (1,)}, []),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["`a` was [1, 2], is [2, 1]"]),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"y": 2, "x": 1}]}, []),
        ({"a": {"b": 1}}, {}, ["`a.b` was 1, is not set"]),
        ({}, {"a": {"b": None}}, ["`a.b` was not set, is null"]),
        ({"b": 1, "a": {"z": 1, "c": 1}}, {"b": 2, "a": {"z": 2, "c": 2}}, None),
        ({"a": "간판"}, {"a": "招牌"}, ['`a` was "간판", is "招牌"']),
    ],
    ids=str,
)
def test_differences_are_told_by_path(
    before: dict[str, Any], now: dict[str, Any], lines: list[str] | None
) -> None:
    told = differences(before, now)
    if lines is None:
        lines = ["`a.c` was 1, is 2", "`a.z` was 1, is 2", "`b` was 1, is 2"]
    assert told == lines


@given(alike=st.integers(0, 200), rest=st.integers(0, 200))
def test_long_values_are_short_and_still_differ(alike: int, rest: int) -> None:
    was, now = "x" * alike + "1" + "y" * rest, "x" * alike + "2" + "y" * rest
    (line,) = differences({"a": was}, {"a": now})
    shown = line.removeprefix("`a` was ").split(", is ")
    assert shown[0] != shown[1]
    assert max(map(len, shown)) <= 60


def test_the_same_run_may_go_on() -> None:
    now = started(manifest=replace(MANIFEST, invalid=0), service_version="9.9.9")
    require_same(started(), now)


def test_another_manifest_is_refused() -> None:
    now = started(manifest=replace(MANIFEST, digest="cd" * 32, rows=1201))
    with pytest.raises(RunRefused) as caught:
        require_same(started(), now)
    assert "1,200 rows" in caught.value.message
    assert "1,201 rows" in caught.value.message
    assert "another output folder" in caught.value.message


def test_other_options_are_refused_and_named() -> None:
    now = started(OPTIONS | {"planning": {"max_attempts": 3}})
    with pytest.raises(RunRefused) as caught:
        require_same(started(), now)
    assert "`planning.max_attempts` was 2, is 3" in caught.value.message


def test_no_more_than_ten_differences_are_named() -> None:
    before, now = ({"a": {f"{i:02}": i + by for i in range(25)}} for by in (0, 1))
    with pytest.raises(RunRefused) as caught:
        require_same(started(before), started(now))
    assert caught.value.message.count(", is ") == 10
    assert "and 15 more" in caught.value.message
