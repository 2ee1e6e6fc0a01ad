"""Results and files by id."""

import os
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


def age(folder: Path) -> None:
    """Make every file look as if it had been written 1000 seconds after 1970 began."""
    for name in files_below(folder):
        os.utime(folder / name, (1000, 1000))


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
    assert not await FileStore(blobs).has(foreign)


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
    await store.put(image.id, b"png")
    await store.put(image.id, b"png")
    assert await store.png(image.id) == b"png"
    assert len(files_below(tmp_path)) == 1


async def test_an_erased_result_is_gone_and_others_stay(tmp_path: Path) -> None:
    store = ResultStore(BlobStore(str(tmp_path)))
    first, second = edit_result(1), edit_result(2)
    await store.put(first)
    await store.put(second)
    await store.erase(first.id)
    await store.erase(first.id)
    assert await store.image(first.id) is None
    assert await store.metadata(first.id) is None
    assert await store.image(second.id) == second.png
    assert await store.metadata(second.id) == second.metadata
    assert len(files_below(tmp_path)) == 2


async def test_no_record_is_left_without_its_image(tmp_path: Path) -> None:
    class ImagesStay(BlobStore):
        async def erase(self, name: str) -> None:
            if name.endswith(".png"):
                raise NotReady("away")
            await super().erase(name)

    result = edit_result()
    await ResultStore(BlobStore(str(tmp_path))).put(result)
    with pytest.raises(NotReady):
        await ResultStore(ImagesStay(str(tmp_path))).erase(result.id)
    store = ResultStore(BlobStore(str(tmp_path)))
    assert await store.metadata(result.id) is None
    # What is left can still be found, and erased.
    assert await store.ids_before(1e10) == [result.id]
    await store.erase(result.id)
    assert files_below(tmp_path) == {}


async def test_results_and_files_are_listed_apart(tmp_path: Path) -> None:
    results, files = (kind(BlobStore(str(tmp_path))) for kind in (ResultStore, FileStore))
    image = DecodedImage.of(np.zeros((4, 3, 3), np.uint8))
    for number in (2, 1):
        await results.put(edit_result(number))
    await files.put(image.id, b"png")
    age(tmp_path)
    assert await results.ids_before(1000.5) == [edit_result(1).id, edit_result(2).id]
    assert await files.ids_before(1000.5) == [image.id]
    assert await results.ids_before(1000.0) == await files.ids_before(1000.0) == []


async def test_a_file_that_is_put_again_is_new(tmp_path: Path) -> None:
    store = FileStore(BlobStore(str(tmp_path)))
    image = DecodedImage.of(np.zeros((4, 3, 3), np.uint8))
    await store.put(image.id, b"png")
    age(tmp_path)
    await store.put(image.id, b"png")
    assert await store.ids_before(2000.0) == []


async def test_a_file_is_there_until_it_is_erased(tmp_path: Path) -> None:
    store = FileStore(BlobStore(str(tmp_path)))
    image, other = (DecodedImage.of(np.full((4, 3, 3), grey, np.uint8)) for grey in (0, 1))
    assert not await store.has(image.id)
    await store.put(image.id, b"png")
    await store.put(other.id, b"png")
    assert await store.has(image.id)
    await store.erase(image.id)
    await store.erase(image.id)
    assert not await store.has(image.id)
    assert await store.png(image.id) is None
    assert await store.has(other.id)


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_ids_of_another_shape_erase_nothing(tmp_path: Path, foreign: str) -> None:
    blobs = BlobStore(str(tmp_path))
    await ResultStore(blobs).put(edit_result())
    before = files_below(tmp_path)
    for store in (ResultStore(blobs), FileStore(blobs)):
        with pytest.raises(ValueError, match="not the name"):
            await store.erase(foreign)
    assert files_below(tmp_path) == before
