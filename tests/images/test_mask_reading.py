"""Mask files, against the two meanings a mask can have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from serve_app.config import LimitsConfig
from serve_app.errors import EditServiceError
from serve_app.images.mask_reading import read_mask
from tests.images.containers import chunk, jpeg_ycck, png, saved, solid, with_orientation
from tests.images.hostile import HOSTILE, HostileCase

LIMITS = LimitsConfig()

LEFT = np.zeros((48, 64), np.bool_)
"""The left third of a picture of 64x48."""
LEFT[:, :21] = True


def free(data: bytes) -> np.ndarray:
    mask = read_mask(data, LIMITS, "mask").editable
    assert mask.dtype == np.bool_
    return mask


def painted(mask: np.ndarray, mode: str = "L") -> Image.Image:
    """White where editable."""
    return Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).convert(mode)


def holed(mask: np.ndarray, colour: int = 255) -> Image.Image:
    """Transparent where editable, one grey everywhere."""
    pixels = np.full((*mask.shape, 4), colour, np.uint8)
    pixels[..., 3] = np.where(mask, 0, 255)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("colour", [0, 128, 255])
@pytest.mark.parametrize(
    ("mode", "container"),
    [("RGBA", "PNG"), ("RGBA", "WEBP"), ("LA", "PNG"), ("PA", "PNG")],
)
def test_transparent_is_editable_whatever_the_colour(
    mode: str, container: str, colour: int
) -> None:
    image = holed(LEFT, colour)
    if mode == "PA":
        image = image.quantize(4, Image.Quantize.FASTOCTREE)
    elif mode != "RGBA":
        image = image.convert(mode)
    options = {"lossless": True} if container == "WEBP" else {}
    assert np.array_equal(free(saved(image, container, **options)), LEFT)


@pytest.mark.parametrize(
    ("mode", "container"),
    [
        *((mode, "PNG") for mode in ("1", "L", "P", "RGB", "RGBA", "LA")),
        *((mode, "WEBP") for mode in ("L", "RGB", "RGBA")),
        *((mode, "JPEG") for mode in ("L", "RGB", "CMYK")),
    ],
)
def test_without_transparency_white_is_editable(mode: str, container: str) -> None:
    # JPEG rings at edges that are not those of its blocks, but not by half of the range.
    data = saved(painted(LEFT, mode), container, quality=95)
    assert np.array_equal(free(data), LEFT)


def test_16_bits() -> None:
    values = np.where(LEFT, 65535, 0).astype(np.uint16)
    assert np.array_equal(free(saved(Image.fromarray(values), "PNG")), LEFT)
    # 128 * 257 is the first value of the upper half, as 128 is of 8 bits.
    assert free(saved(Image.fromarray(np.full((40, 40), 128 * 257, np.uint16)), "PNG")).all()
    assert not free(saved(Image.fromarray(np.full((40, 40), 127 * 257, np.uint16)), "PNG")).any()
    holes = png(40, 40, depth=16, colour=4, rows=(b"\0" + b"\xff\xff\0\0" * 40) * 40)
    assert free(holes).all()


def test_inks() -> None:
    assert free(jpeg_ycck((0, 0, 0, 0))).all()
    assert not free(jpeg_ycck((0, 0, 0, 255))).any()


def test_a_transparent_colour_is_transparency() -> None:
    rows = b"".join(b"\0" + bytes([0, 0, 0] * 20 + [9, 9, 9] * 20) for _ in range(40))
    keyed = png(40, 40, rows=rows, before=chunk(b"tRNS", bytes(6)))
    expected = np.zeros((40, 40), np.bool_)
    expected[:, :20] = True
    assert np.array_equal(free(keyed), expected)
    palette = png(
        40,
        40,
        colour=3,
        rows=b"".join(b"\0" + bytes([0] * 20 + [1] * 20) for _ in range(40)),
        before=chunk(b"PLTE", bytes([255] * 6)) + chunk(b"tRNS", bytes([0])),
    )
    assert np.array_equal(free(palette), expected)


@pytest.mark.parametrize(("alpha", "editable"), [(0, True), (127, True), (128, False)])
def test_half_transparent_counts_as_the_nearer_end(alpha: int, editable: bool) -> None:
    assert free(saved(solid("RGBA", (255, 255, 255, alpha)), "PNG")).all() == editable


def test_one_transparent_pixel_decides_how_the_file_is_read() -> None:
    image = solid("RGBA", (255, 255, 255, 255))
    assert free(saved(image, "PNG")).all()
    image.putpixel((3, 5), (255, 255, 255, 0))
    only = free(saved(image, "PNG"))
    assert only[5, 3]
    assert only.sum() == 1
    # Not opaque everywhere, but nowhere transparent enough: nothing is free.
    image.putpixel((3, 5), (255, 255, 255, 200))
    assert not free(saved(image, "PNG")).any()


@given(colour=st.tuples(*[st.integers(0, 255)] * 3))
def test_the_luma_is_that_of_bt_601(colour: tuple[int, int, int]) -> None:
    red, green, blue = colour
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    found = free(saved(solid("RGB", colour), "PNG"))
    if abs(luma - 127.5) > 0.01:  # Pillow's weights are rounded to 2^-16
        assert found.all() == (luma > 127.5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_is_turned_as_its_photo_is(orientation: int) -> None:
    stored = {
        1: LEFT,
        2: LEFT[:, ::-1],
        3: LEFT[::-1, ::-1],
        4: LEFT[::-1],
        5: LEFT.T,
        6: np.rot90(LEFT, 1),
        7: LEFT[::-1, ::-1].T,
        8: np.rot90(LEFT, -1),
    }[orientation]
    for image in (painted(stored), holed(stored)):
        data = with_orientation(image, "PNG", bytes([0, orientation]))
        assert np.array_equal(free(data), LEFT)


def test_equal_masks_have_one_id_whatever_the_file() -> None:
    files = [
        saved(painted(LEFT), "PNG"),
        saved(painted(LEFT, "1"), "WEBP", lossless=True),
        saved(holed(LEFT, 7), "PNG"),
    ]
    assert len({read_mask(data, LIMITS, "mask").id for data in files}) == 1
    assert read_mask(saved(painted(~LEFT), "PNG"), LIMITS, "mask").id not in files


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_hostile_files_are_refused_like_images(case: HostileCase) -> None:
    with pytest.raises(EditServiceError) as caught:
        read_mask(case.make(), LIMITS, "mask")
    error = caught.value
    assert (error.status, error.code, error.param) == (case.status, case.code, "mask")
