"""Keeping a result is timed, if it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.edits.result import EditResult
from serve_app.errors import NotReady
from serve_app.storage.blobs import BlobStore
from serve_app.storage.results import ResultStore, new_result_id
from serve_app.workflows.timed_results import TimedResults


def result() -> EditResult:
    identity = new_result_id()
    return EditResult(identity, b"png", 8, 8, 1, "pass", 1, {"id": identity})


async def test_a_result_is_kept_and_its_time_told(tmp_path: Path) -> None:
    store = ResultStore(BlobStore(str(tmp_path)))
    times: list[float] = []
    kept = result()
    await TimedResults(store, times.append).put(kept)
    assert await store.image(kept.id) == kept.png
    assert len(times) == 1
    assert times[0] > 0


async def test_what_could_not_be_kept_took_no_time(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("no folder")
    times: list[float] = []
    with pytest.raises(NotReady):
        await TimedResults(ResultStore(BlobStore(str(tmp_path))), times.append).put(result())
    assert not times
