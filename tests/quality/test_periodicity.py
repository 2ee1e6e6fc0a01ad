import io

import numpy as np
import pytest
from PIL import Image

from serve_app.images.pixels import RGB
from serve_app.quality.periodicity import block_excess, blocks, grid, seam_step
from tests.quality.pictures import PHOTOS, pair, photo, value, with_square


def with_grid(original: RGB, period: int, levels: int) -> RGB:
    """A ramp in every cell, as decoders draw them: a seam of ``levels`` at every line."""
    height, width, _ = original.shape
    ramp = (np.arange(height)[:, None] % period + np.arange(width)[None] % period) / period
    cells = levels * (ramp - ramp.mean())
    return np.clip(original + cells[..., None], 0, 255).round().astype(np.uint8)


def as_jpeg(pixels: RGB, quality: int) -> RGB:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("period", [8, 16])
@pytest.mark.parametrize("name", PHOTOS)
def test_the_step_of_a_grid_is_found(name: str, period: int) -> None:
    original = photo(name, (512, 384))
    found = grid(pair(original, with_grid(original, period, 8)))
    assert value(found) == pytest.approx(8, abs=2)
    assert found.evidence["period_px"] in (period, 16)  # every 16th line is an 8th one, too


@pytest.mark.parametrize("name", PHOTOS)
def test_blocks_of_jpeg_show_from_a_low_quality_on(name: str) -> None:
    original = photo(name, (512, 384))
    values = [value(blocks(pair(original, as_jpeg(original, q)))) for q in (95, 10, 5)]
    assert values[0] < 0.1
    assert 0.3 < values[1] < values[2]


@pytest.mark.parametrize("name", PHOTOS)
def test_an_edit_is_no_pattern(name: str) -> None:
    original = photo(name, (512, 384))
    both = pair(original, with_square(original))
    assert value(grid(both)) < 1
    assert value(blocks(both)) < 0.15


def test_a_pattern_of_the_original_is_not_held_against_the_edit() -> None:
    fence = with_grid(photo(size=(512, 512)), 16, 60)
    both = pair(fence, with_square(fence))
    assert value(grid(both)) < 1
    assert value(blocks(both)) < 0.15


def test_a_small_picture_can_not_be_judged() -> None:
    both = pair(photo(size=(60, 60)), photo(size=(60, 60)))
    assert grid(both).status == blocks(both).status == "unsupported"


def test_no_steps_no_pattern() -> None:
    flat = np.zeros((64, 64), np.float32)
    assert seam_step(flat, 8, 0) == block_excess(flat, 8, 0) == 0.0


def test_the_seam_of_a_staircase_is_its_step() -> None:
    stairs = np.repeat(np.arange(16) * 3.0, 8)[None].repeat(64, axis=0).astype(np.float32)
    assert seam_step(stairs, 8, 1) == pytest.approx(3.0)
    assert seam_step(stairs, 8, 0) == 0.0
