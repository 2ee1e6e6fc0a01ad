"""From a row to pixels: what is wrong with one row is its own error, and the others go on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.bulk.loading import LOADED, LoadedRow, RowLoader, row_facts, row_of
from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.row import Row
from serve_app.config import LimitsConfig
from serve_app.edits.request import EditType, ExactSize
from serve_app.errors import NotReady, UnusableMask
from serve_app.images.masks import Box, EditMask
from serve_app.images.pixels import DecodedImage
from serve_app.storage.byte_store import ByteStore
from tests.conftest import encoded, photo

NO_PATIENCE_S = -1.0
LIMITS = LimitsConfig(image_bytes=200_000)


def row(*images: str, number: int = 1, mask: str | None = None, **asked: Any) -> Row:
    return Row(number, f"id-{number}", images, mask, {"prompt": "make it blue", **asked})


def noise(width: int, height: int, seed: int = 0) -> DecodedImage:
    rng = np.random.default_rng(seed)
    return DecodedImage.of(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


# On its way between actors

texts = st.text(max_size=20)
sides = st.integers(1, 33)
rows = st.builds(
    Row,
    st.integers(1, 2**40),
    texts,
    st.lists(texts, max_size=4).map(tuple),
    st.none() | texts,
    st.fixed_dictionaries({"prompt": texts}, optional={"seed": st.integers(0, 2**63 - 1)}),
)


@given(row=rows)
def test_a_row_is_plain_facts_and_back(row: Row) -> None:
    assert row_of(row_facts(row)) == row


@given(
    row=rows,
    sizes=st.lists(st.tuples(sides, sides), min_size=1, max_size=4),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_pixels_come_back_as_they_were(
    row: Row, sizes: list[tuple[int, int]], masked: bool, seed: int
) -> None:
    images = tuple(noise(*size, seed + n) for n, size in enumerate(sizes))
    width, height = sizes[0]
    editable = np.random.default_rng(seed).random((height, width)) < 0.5
    mask = EditMask.of(editable) if masked else None
    # Another row before and after: what comes back is its own.
    other = LoadedRow(row, error=("other", "…"))
    table = pa.concat_tables(
        [other.to_arrow(), LoadedRow(row, images, mask).to_arrow(), other.to_arrow()]
    )
    assert table.schema == LOADED
    back = LoadedRow.from_arrow(table, 1)
    assert (back.row, back.error) == (row, None)
    assert [image.id for image in back.images] == [image.id for image in images]
    for image, before in zip(back.images, images, strict=True):
        assert np.array_equal(image.pixels, before.pixels)
        # The name is the content's: nothing was swapped.
        assert DecodedImage.of(image.pixels).id == image.id
    if mask is None:
        assert back.mask is None
    else:
        assert back.mask is not None
        assert back.mask.id == mask.id
        assert back.mask.editable.dtype == np.bool_
        assert np.array_equal(back.mask.editable, editable)


@given(row=rows, code=texts, message=texts)
def test_errors_come_back_as_they_were(row: Row, code: str, message: str) -> None:
    table = LoadedRow(row, error=(code, message)).to_arrow()
    back = LoadedRow.from_arrow(table, 0)
    assert back.row == row
    assert back.error == (code, message)
    assert (back.images, back.mask) == ((), None)


def test_a_table_of_several_parts_is_read_by_the_row() -> None:
    """As Ray Data may put blocks together and cut them."""
    loaded = [LoadedRow(row("x.png", number=n), (noise(3, 4, n),)) for n in range(1, 6)]
    table = pa.concat_tables([one.to_arrow() for one in loaded]).slice(2)
    back = [LoadedRow.from_arrow(table, index) for index in range(3)]
    assert [one.row.number for one in back] == [3, 4, 5]
    assert [one.images[0].id for one in back] == [one.images[0].id for one in loaded[2:]]


def test_the_request_is_what_the_row_asks() -> None:
    image = noise(64, 48)
    mask = EditMask.of_box(Box(0, 0, 10, 10), 64, 48)
    asked = row("x.png", edit_type="text", seed=7, size="64x48", user="shop")
    request = LoadedRow(asked, (image,), mask).request()
    assert (request.images, request.mask) == ((image,), mask)
    assert request.prompt == "make it blue"
    assert request.edit_type is EditType.TEXT
    assert (request.seed, request.size, request.user) == (7, ExactSize(64, 48), "shop")


@pytest.mark.parametrize("size", ["native", "64x64"])
def test_with_a_mask_the_size_is_the_images_own(size: str) -> None:
    mask = EditMask.of_box(Box(0, 0, 10, 10), 64, 48)
    with pytest.raises(UnusableMask) as refused:
        LoadedRow(row("x.png", size=size), (noise(64, 48),), mask).request()
    assert refused.value.param == "size"


# Files


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files, and one of each kind that can't be used."""
    folder = tmp_path_factory.mktemp("loading")
    root = folder / "photos"
    (root / "sub").mkdir(parents=True)
    picture = photo("coffee", (96, 64))
    png = encoded(picture)
    white = np.full_like(picture, 255)
    half = white.copy()
    half[:, 40:] = 0
    for name, data in {
        "good.png": png,
        "sub/good.jpg": encoded(photo("chelsea", (120, 80)), "JPEG"),
        "truncated.png": png[: len(png) // 2],
        "empty.png": b"",
        "text.png": b"not an image",
        "large.png": png + bytes(LIMITS.image_bytes),
        "tiny.png": encoded(picture[:8, :8]),
        "mask.png": encoded(half),
        "small_mask.png": encoded(half[:32, :32]),
        "black.png": encoded(np.zeros_like(picture)),
    }.items():
        (root / name).write_bytes(data)
    (folder / "outside.png").write_bytes(png)
    (root / "link.png").symlink_to(folder / "outside.png")
    (root / "inside.png").symlink_to(root / "good.png")
    return root


@pytest.fixture(scope="module")
def loader(root: Path) -> Iterator[RowLoader]:
    """Of one pool for all tests of this module, good rows among others."""
    loader = RowLoader(InputRoot(str(root)), LIMITS, NO_PATIENCE_S)
    yield loader
    loader.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_good_files_are_decoded(loader: RowLoader) -> None:
    loaded = await loader.load(row("good.png", "sub/good.jpg", "inside.png"))
    assert loaded.error is None
    first, second, third = loaded.images
    assert np.array_equal(first.pixels, photo("coffee", (96, 64)))
    assert first.id == third.id == DecodedImage.of(photo("coffee", (96, 64))).id
    assert (second.width, second.height) == (120, 80)
    assert loaded.mask is None
    assert loaded.request().images == loaded.images


@pytest.mark.asyncio(loop_scope="module")
async def test_masks_are_read_and_drawn(loader: RowLoader) -> None:
    from_file = await loader.load(row("good.png", mask="mask.png"))
    boxed = await loader.load(row("good.png", mask_box=[0, 0, 40, 64]))
    assert from_file.mask is not None
    assert boxed.mask is not None
    assert from_file.mask.editable[:, :40].all()
    assert not from_file.mask.editable[:, 40:].any()
    # One mask, however it was said: such edits share their cache.
    assert from_file.mask.id == boxed.mask.id


WRONG = [
    (row("truncated.png"), "unusable_image"),
    (row("empty.png"), "invalid_value"),
    (row("text.png"), "unsupported_media_type"),
    (row("large.png"), "payload_too_large"),
    (row("tiny.png"), "unusable_image"),
    (row("nowhere.png"), "image_not_found"),
    (row("sub"), "image_not_found"),
    (row("link.png"), "outside_input_root"),
    (row("good.png", "nowhere.png"), "image_not_found"),
    (row("good.png", mask="nowhere.png"), "image_not_found"),
    (row("good.png", mask="link.png"), "outside_input_root"),
    (row("good.png", mask="small_mask.png"), "unusable_mask"),
    (row("good.png", mask="black.png"), "unusable_mask"),
    (row("good.png", mask_box=[0, 0, 97, 64]), "unusable_mask"),
    (row("good.png", mask_box=[90, 0, 200, 10]), "unusable_mask"),
]


@pytest.mark.parametrize(("bad", "code"), WRONG, ids=lambda it: it if isinstance(it, str) else "")
@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_wrong_is_the_rows_own_error(
    loader: RowLoader, root: Path, bad: Row, code: str
) -> None:
    loaded = await loader.load(bad)
    assert loaded.error is not None
    assert loaded.error[0] == code
    assert str(root.parent) not in loaded.error[1]
    assert (loaded.row, loaded.images, loaded.mask) == (bad, (), None)
    assert (await loader.load(row("good.png"))).error is None


@pytest.mark.asyncio(loop_scope="module")
async def test_what_should_not_happen_is_a_rows_error_too(loader: RowLoader) -> None:
    loaded = await loader.load(row())
    assert loaded.error is not None
    assert loaded.error[0] == "part_failed"
    assert (await loader.load(row("good.png"))).error is None


class Away(InputRoot):
    """An object store that does not answer the first time, or never."""

    def __init__(self, root: str, times: int) -> None:
        super().__init__(root)
        self.times = times

    def read(self, place: str, most_bytes: int) -> bytes:
        if self.times:
            self.times -= 1
            raise NotReady("The input root does not answer.", None, 0.0)
        return super().read(place, most_bytes)


async def test_a_root_that_stays_away_is_no_fault_of_the_row(root: Path) -> None:
    loader = RowLoader(Away(str(root), 99), LIMITS, NO_PATIENCE_S)
    with pytest.raises(NotReady, match="does not answer"):
        await loader.load(row("good.png"))
    loader.close()


async def test_a_root_that_comes_back_is_waited_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.workflows.jobs.insisting._FIRST_WAIT_S", 0.0)
    loader = RowLoader(Away(str(root), 1), LIMITS, 60.0)
    loaded = await loader.load(row("good.png"))
    loader.close()
    assert loaded.error is None


async def test_object_stores_are_read(root: Path) -> None:
    store = f"memory://{uuid.uuid4().hex}"
    ByteStore(store).put("a/good.png", (root / "good.png").read_bytes())
    loader = RowLoader(InputRoot(store), LIMITS, NO_PATIENCE_S)
    good, missing = await loader.load(row("a/good.png")), await loader.load(row("b.png"))
    loader.close()
    assert good.images[0].width == 96
    assert missing.error is not None
    assert missing.error[0] == "image_not_found"


async def test_after_the_end_nothing_is_decoded(root: Path) -> None:
    loader = RowLoader(InputRoot(str(root)), LIMITS, NO_PATIENCE_S)
    loader.close()
    loaded = await loader.load(row("good.png"))
    assert loaded.error is not None
    assert loaded.error[0] == "not_ready"
