import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from serve_app.config import LimitsConfig
from serve_app.errors import EditServiceError
from serve_app.images.decoding import decode
from serve_app.images.encoding import OutputFormat, encode
from serve_app.images.pixels import DecodedImage
from tests.images.containers import display_p3, photo, png, saved, solid, with_orientation
from tests.images.hostile import ACCEPTED, HOSTILE, SECRET, AcceptedCase, HostileCase

LIMITS = LimitsConfig()


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_hostile_files_are_refused_in_our_own_words(case: HostileCase) -> None:
    with pytest.raises(EditServiceError) as caught:
        decode(case.make(), LIMITS, "image")
    error = caught.value
    assert (error.status, error.code, error.param) == (case.status, case.code, "image")
    said = error.message.lower()
    assert not any(word in said for word in ("pillow", "pil.", "/", "truncated file", "bytesio"))


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_errors_survive_a_process_border(case: HostileCase) -> None:
    with pytest.raises(EditServiceError) as caught:
        decode(case.make(), LIMITS, "image[]")
    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is type(caught.value)
    assert (error.code, error.status, error.param) == (case.code, case.status, "image[]")
    assert str(error) == caught.value.message


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_accepted_files_have_their_golden_colour(case: AcceptedCase) -> None:
    image = decode(case.make(), LIMITS, "image")
    assert (image.width, image.height) == case.size
    assert image.pixels.dtype == np.uint8
    assert image.pixels.shape == (image.height, image.width, 3)
    middle = image.pixels[image.height // 2, image.width // 2].astype(int)
    assert np.abs(middle - case.colour).max() <= case.tolerance, middle


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
@pytest.mark.parametrize("output_format", list(OutputFormat))
def test_nothing_but_pixels_reaches_the_output(
    case: AcceptedCase, output_format: OutputFormat
) -> None:
    output = encode(decode(case.make(), LIMITS, "image").pixels, output_format)
    for trace in (
        SECRET,
        b"Exif",
        b"eXIf",
        b"xmpmeta",
        b"ICC_PROFILE",
        b"iCCP",
        b"tEXt",
        b"PK\3\4",
    ):
        assert trace not in output


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """``pixels`` as a camera held that way would have stored them (TIFF 6, tag 274)."""
    return {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, 1),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels, -1),
    }[orientation]


@pytest.mark.parametrize("container", ["PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(container: str, orientation: int) -> None:
    upright = np.asarray(photo())
    stored = Image.fromarray(np.ascontiguousarray(turned(upright, orientation)))
    data = with_orientation(stored, container, bytes([0, orientation]))
    assert np.array_equal(decode(data, LIMITS, "image").pixels, upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_cost_the_image() -> None:
    data = saved(photo(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(data, LIMITS, "image").width == photo().width


def test_a_profile_is_converted_to_srgb() -> None:
    green = decode(
        saved(solid("RGB", (0, 255, 0)), "PNG", icc_profile=display_p3()), LIMITS, "image"
    )
    assert green.pixels[0, 0].tolist() == [0, 255, 0]
    grey = decode(
        saved(solid("RGB", (128, 128, 128)), "PNG", icc_profile=display_p3()), LIMITS, "image"
    )
    assert np.abs(grey.pixels[0, 0].astype(int) - 128).max() <= 1
    # (200, 100, 50) in P3 is (214, 95, 32) in sRGB, by the matrices of CSS Color 4.
    orange = decode(
        saved(solid("RGB", (200, 100, 50)), "PNG", icc_profile=display_p3()), LIMITS, "image"
    )
    assert np.abs(orange.pixels[0, 0].astype(int) - css_p3_to_srgb((200, 100, 50))).max() <= 2


def css_p3_to_srgb(colour: tuple[int, int, int]) -> np.ndarray:
    """Display P3 to sRGB, both 0..255, by the linear matrices of CSS Color 4."""
    encoded = np.array(colour) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [
            [1.2249401, -0.2249402, 0.0],
            [-0.0420569, 1.0420571, 0.0],
            [-0.0196376, -0.0786507, 1.0982884],
        ]
    )
    out = np.clip(matrix @ linear, 0, 1)
    back = np.where(out <= 0.0031308, out * 12.92, 1.055 * out ** (1 / 2.4) - 0.055)
    return (back * 255).round()


def test_equal_pixels_have_one_id_whatever_the_file() -> None:
    as_png = decode(saved(photo(), "PNG"), LIMITS, "image")
    as_webp = decode(saved(photo(), "WEBP", lossless=True, exact=True), LIMITS, "image")
    assert as_png.id == as_webp.id == DecodedImage.of(np.asarray(photo())).id


def test_truncated_images_stay_errors() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@given(data=st.binary(max_size=300), magic=st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]))
def test_random_bytes_never_escape_the_error_tree(data: bytes, magic: bytes) -> None:
    with pytest.raises(EditServiceError):
        decode(magic + data, LIMITS, "image")


@given(at=st.integers(8, 200), bit=st.integers(0, 7))
def test_a_flipped_bit_in_a_png_is_noticed_or_harmless(at: int, bit: int) -> None:
    data = bytearray(png(40, 40, rows=(b"\0" + bytes(range(120))) * 40))
    at %= len(data)
    data[at] ^= 1 << bit
    try:
        image = decode(bytes(data), LIMITS, "image")
    except EditServiceError:
        return
    assert image.pixels.shape == (40, 40, 3)
