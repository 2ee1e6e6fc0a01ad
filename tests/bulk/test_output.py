"""Files of rows: named by ids, never outside of the folder, replaced when a row is done again."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.bulk.output import NotByTheWorkflow, RowOutput, row_name
from serve_app.edits.result import EditResult
from serve_app.errors import NotReady
from serve_app.storage.byte_store import ByteStore
from tests.storage.virtual_time import edit_result, files_below

ids = st.text(max_size=300)
HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "a/../../b",
    "C:\\boot.ini",
    "con",
    "x\0y",
    "-rf",
    "~/x",
    "a\nb",
    "\u202egnp.exe",
    "간판",
    "a" * 10_000,
]


@given(row_id=ids | st.sampled_from(HOSTILE))
def test_a_name_stays_in_its_folder(row_id: str) -> None:
    name = row_name(row_id)
    assert re.fullmatch(r"[0-9a-f]{2}/([A-Za-z0-9_-][A-Za-z0-9._-]*-)?[0-9a-f]{16}", name)
    assert ".." not in PurePosixPath(name).parts
    assert len(name) < 100


@given(one=ids, other=ids)
def test_other_ids_have_other_names(one: str, other: str) -> None:
    """Even where file systems don't tell capitals from small letters."""
    assert (row_name(one).lower() == row_name(other).lower()) == (one == other)


def test_a_name_can_be_read_and_is_the_same_everywhere() -> None:
    digest = hashlib.sha256(b"shoe 42/left").hexdigest()[:16]
    assert row_name("shoe 42/left") == f"{digest[:2]}/shoe-42-left-{digest}"
    assert row_name("가") == "{0:.2}/{0}".format(hashlib.sha256("가".encode()).hexdigest()[:16])


def test_ids_that_look_alike_have_names_that_differ() -> None:
    alike = ["a b", "a/b", "a-b", "A-B", "a-b.", ".a-b", "a" * 61, "a" * 62]
    assert len({row_name(one).lower() for one in alike}) == len(alike)


def test_image_and_record_are_where_it_says(tmp_path: Path) -> None:
    result = edit_result(png=b"the image")
    image, record = RowOutput(ByteStore(str(tmp_path))).put("shoe", result)
    name = row_name("shoe")
    assert (image, record) == (f"images/{name}.png", f"records/{name}.json")
    assert (tmp_path / image).read_bytes() == b"the image"
    written = json.loads((tmp_path / record).read_text(encoding="utf-8"))
    assert written == {**result.metadata, "row_id": "shoe"}


@given(row_id=ids)
def test_doing_a_row_again_replaces_it(row_id: str) -> None:
    store = ByteStore(f"memory://{uuid.uuid4().hex}")
    output = RowOutput(store)
    before = output.put(row_id, edit_result(1, b"first"))
    output.put("another row", edit_result(2, b"of another"))
    files = store.names("")
    assert output.put(row_id, edit_result(3, b"second")) == before
    assert store.names("") == files
    assert store.get(before[0]) == b"second"


def test_rows_that_share_a_result_have_their_own_files(tmp_path: Path) -> None:
    output = RowOutput(ByteStore(str(tmp_path)))
    for row_id in ("one", "two"):
        output.put(row_id, edit_result())
    assert len(files_below(tmp_path)) == 4


def test_storage_that_is_away_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(NotReady):
        RowOutput(ByteStore(str(tmp_path / "out"))).put("shoe", edit_result())


async def test_the_workflow_itself_keeps_nothing() -> None:
    result: EditResult = edit_result()
    await NotByTheWorkflow().put(result)
