"""Masked edits from the job to the PNG: what is outside of the mask is the input's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from serve_app.config import EngineConfig
from serve_app.edits.job import EditedImage, EditJob, Preview
from serve_app.edits.request import ExactSize
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint
from serve_app.errors import UnusableMask
from serve_app.images.compositing import dilated, feather_radius
from serve_app.images.encoding import encode
from serve_app.images.masks import Box, Editable, from_box
from serve_app.images.pixels import RGB
from tests.conftest import PHOTOS, decoded, photo


@pytest.fixture(scope="module")
def small(miniatures: dict[str, Checkpoint]) -> dict[str, Checkpoint]:
    """The miniatures on canvases of a quarter of the area."""
    return {
        name: replace(made, vae_area=64 * 64, condition_area=32 * 32)
        for name, made in miniatures.items()
    }


@pytest.fixture(scope="module")
def engines(small: dict[str, Checkpoint]) -> Iterator[dict[str, Engine]]:
    engines = {name: Engine(small[name], EngineConfig()) for name in ("edit", "plus")}
    yield engines
    for engine in engines.values():
        engine.close()


@pytest.fixture
def engine(engines: dict[str, Engine]) -> Engine:
    return engines["plus"]


def job(*images: RGB, mask: Editable | None = None, **changes: object) -> EditJob:
    made = EditJob(images, "make it blue", " ", 1.0, 2, 3, mask=mask)
    return replace(made, **changes)  # type: ignore[arg-type]


def spread(editable: Editable) -> Editable:
    """All that a masked edit may touch, as a client computes it."""
    height, width = editable.shape
    return dilated(editable, feather_radius(width, height))


def assert_holds(wanted: EditJob, pixels: RGB) -> None:
    """After a round trip through the service's PNG, as a client sees it."""
    assert wanted.mask is not None
    original, edited = wanted.images[0], decoded(encode(pixels))
    assert edited.shape == original.shape
    outside = ~spread(wanted.mask)
    assert np.array_equal(edited[outside], original[outside])
    assert np.any(edited[wanted.mask] != original[wanted.mask])


def largest_difference(one: EditedImage, other: EditedImage) -> int:
    return int(np.abs(one.pixels.astype(int) - other.pixels).max())


def random_mask(width: int, height: int, cell: int, density: float, seed: int) -> Editable:
    """Squares of ``cell`` pixels, at least one of them editable."""
    rng = np.random.default_rng(seed)
    rows, columns = -(-height // cell), -(-width // cell)
    coarse: NDArray[np.bool_] = rng.random((rows, columns)) < density
    coarse[rng.integers(rows), rng.integers(columns)] = True
    return coarse.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width].copy()


# Bit for bit


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["edit", "plus"]),
    name=st.sampled_from(PHOTOS),
    # About the canvas's area (left as it is), below it, and well above (resampled).
    size=st.sampled_from([(64, 64), (67, 59), (40, 33), (33, 128), (301, 203), (512, 379)]),
    cell=st.integers(2, 100),
    density=st.floats(0, 0.6),
    seed=st.integers(0, 2**32 - 1),
)
def test_outside_of_a_random_mask_every_bit_is_the_photos(
    engines: dict[str, Engine],
    kind: str,
    name: str,
    size: tuple[int, int],
    cell: int,
    density: float,
    seed: int,
) -> None:
    wanted = job(photo(name, size), mask=random_mask(*size, cell, density, seed), seed=seed)
    assert_holds(wanted, asyncio.run(engines[kind].edit(wanted)).pixels)


@pytest.mark.parametrize("size", [(64, 64), (301, 203)])
@pytest.mark.parametrize("place", [(0, 0), (0, -1), (-1, 0), (-1, -1), (20, 31)])
async def test_one_pixel_is_a_mask(
    engine: Engine, size: tuple[int, int], place: tuple[int, int]
) -> None:
    editable = np.zeros(size[::-1], dtype=np.bool_)
    editable[place] = True
    wanted = job(photo("coffee", size), mask=editable)
    assert_holds(wanted, (await engine.edit(wanted)).pixels)


@pytest.mark.parametrize(
    "box", [(0, 0, 150, 20), (0, 0, 20, 97), (130, 0, 150, 97), (0, 80, 150, 97)]
)
async def test_a_mask_along_a_border_holds(engine: Engine, box: tuple[int, int, int, int]) -> None:
    """The canvas is 96 by 64 there: its own border is padding, and so not in the result."""
    wanted = job(photo("astronaut", (150, 97)), mask=from_box(Box(*box), 150, 97))
    assert_holds(wanted, (await engine.edit(wanted)).pixels)


async def test_inside_of_the_mask_it_is_the_model_that_paints(engine: Engine) -> None:
    """Two seeds differ there, and nowhere else."""
    original = photo("chelsea", (90, 70))
    mask = from_box(Box(20, 10, 60, 50), 90, 70)
    one, other = [await engine.edit(job(original, mask=mask, seed=seed)) for seed in (1, 2)]
    differs = np.any(one.pixels != other.pixels, axis=-1)
    assert differs[mask].mean() > 0.9
    assert not differs[~spread(mask)].any()


# Against edits without a mask


@pytest.mark.parametrize("kind", ["edit", "plus"])
@pytest.mark.parametrize("size", [(64, 64), (67, 59), (301, 203)])
async def test_a_full_mask_is_no_mask_bit_for_bit(
    engines: dict[str, Engine], kind: str, size: tuple[int, int]
) -> None:
    """Nothing is kept anywhere, the padding of the canvas included."""
    wanted = job(photo("coffee", size), true_cfg_scale=3.0)
    everything = np.ones(size[::-1], dtype=np.bool_)
    free = await engines[kind].edit(wanted)
    masked = await engines[kind].edit(replace(wanted, mask=everything))
    assert np.array_equal(masked.pixels, free.pixels)


async def test_masked_and_unmasked_requests_share_steps_and_end_as_alone(engine: Engine) -> None:
    wanted = [
        job(
            photo(PHOTOS[n % 3], (64, 64)),
            mask=random_mask(64, 64, 20, 0.3, n) if n % 2 else None,
            num_inference_steps=20 + n,
            true_cfg_scale=1.0 if n < 2 else 3.0,
            seed=n,
        )
        for n in range(4)
    ]
    steps = engine.load_figures()["steps"]
    together = await asyncio.gather(*map(engine.edit, wanted))
    shared = engine.load_figures()["steps"] - steps
    assert shared < sum(each.num_inference_steps for each in wanted)
    for each, in_company in zip(wanted, together, strict=True):
        assert largest_difference(in_company, await engine.edit(each)) <= 1
        if each.mask is not None:
            assert_holds(each, in_company.pixels)


# Several images, sizes, previews


@pytest.mark.parametrize("second", [(90, 70), (50, 120)])
async def test_the_mask_belongs_to_the_first_of_several_images(
    engine: Engine, second: tuple[int, int]
) -> None:
    images = (photo("astronaut", (90, 70)), photo("coffee", second), photo("chelsea", second))
    wanted = job(*images, mask=from_box(Box(0, 30, 45, 70), 90, 70))
    assert_holds(wanted, (await engine.edit(wanted)).pixels)


async def test_the_images_own_size_may_be_named(engine: Engine) -> None:
    wanted = job(photo("coffee", (90, 70)), mask=from_box(Box(5, 5, 40, 40), 90, 70))
    named = await engine.edit(replace(wanted, size=ExactSize(90, 70)))
    assert np.array_equal(named.pixels, (await engine.edit(wanted)).pixels)


async def test_previews_hold_as_well(engine: Engine) -> None:
    mask = from_box(Box(5, 5, 40, 40), 90, 70)
    wanted = job(photo("coffee", (90, 70)), mask=mask, num_inference_steps=4, partial_images=3)
    events = [event async for event in engine.stream(wanted)]
    previews = [event.pixels for event in events if isinstance(event, Preview)]
    assert len(previews) == 3
    for pixels in previews:
        assert_holds(wanted, pixels)


# Refusals


@pytest.mark.parametrize(
    "changes",
    [
        {"mask": np.ones((90, 70), dtype=np.bool_)},
        {"mask": np.zeros((70, 90), dtype=np.bool_)},
        {"size": "native"},
        {"size": ExactSize(70, 90)},
        {"size": ExactSize(180, 140)},
    ],
    ids=["transposed", "empty", "native", "turned", "larger"],
)
async def test_a_mask_that_cannot_hold_is_refused_without_a_step(
    engine: Engine, changes: dict[str, object]
) -> None:
    wanted = job(photo("coffee", (90, 70)), mask=from_box(Box(0, 0, 9, 9), 90, 70))
    steps = engine.load_figures()["steps"]
    with pytest.raises(UnusableMask) as refusal:
        await engine.edit(replace(wanted, **changes))  # type: ignore[arg-type]
    assert refusal.value.status == 422
    assert engine.load_figures()["steps"] == steps
    assert engine.load_figures()["pending"] == 0
