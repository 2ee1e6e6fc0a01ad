"""Results and files by id."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import NotReady
from serve_app.images.pixels import DecodedImage
from serve_app.storage.blobs import BlobStore
from serve_app.storage.files import FileStore
from serve_app.storage.results import RESULT_ID, ResultStore, new_result_id

from .virtual_time import edit_result, files_below

FOREIGN = [
    "",
    "edit-",
    "../../etc/passwd",
    "edit-" + "g" * 32,
    "edit-" + "a" * 32 + "\n",
    "edit-%2e%2e",
]


class UntouchableBlobs(BlobStore):
    """Fails the test if anything is looked up."""

    async def get(self, name: str) -> bytes | None:
        raise AssertionError(name)

    async def exists(self, name: str) -> bool:
        raise AssertionError(name)


def test_new_ids_are_distinct() -> None:
    ids = {new_result_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(RESULT_ID.fullmatch(result_id) for result_id in ids)


async def test_result_round_trip(tmp_path: Path) -> None:
    store = ResultStore(BlobStore(str(tmp_path)))
    result = edit_result(7)
    assert await store.image(result.id) is None
    assert await store.metadata(result.id) is None
    await store.put(result)
    assert await store.image(result.id) == result.png
    assert await store.metadata(result.id) == result.metadata


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_ids_of_another_shape_are_unknown(tmp_path: Path, foreign: str) -> None:
    blobs = UntouchableBlobs(str(tmp_path))
    assert await ResultStore(blobs).image(foreign) is None
    assert await ResultStore(blobs).metadata(foreign) is None
    assert await FileStore(blobs).png(foreign) is None


async def test_record_is_written_last(tmp_path: Path) -> None:
    class FullAfterTheImage(BlobStore):
        async def put(self, name: str, data: bytes) -> None:
            if name.endswith(".json"):
                raise NotReady("full")
            await super().put(name, data)

    store = ResultStore(FullAfterTheImage(str(tmp_path)))
    with pytest.raises(NotReady):
        await store.put(edit_result())
    assert await store.metadata(edit_result().id) is None


async def test_unusable_results_store_nothing(tmp_path: Path) -> None:
    store = ResultStore(BlobStore(str(tmp_path)))
    for result in (
        edit_result(metadata={"x": float("nan")}),
        replace(edit_result(), id="edit-../x"),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - json's own words for the first
            await store.put(result)
    assert files_below(tmp_path) == {}


async def test_file_round_trip(tmp_path: Path) -> None:
    store = FileStore(BlobStore(str(tmp_path)))
    image = DecodedImage.of(np.zeros((4, 3, 3), np.uint8))
    assert await store.png(image.id) is None
    await store.put(image, b"png")
    await store.put(image, b"png")
    assert await store.png(image.id) == b"png"
    assert len(files_below(tmp_path)) == 1
