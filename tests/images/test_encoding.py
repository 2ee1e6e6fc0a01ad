import io

import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from serve_app.errors import InvalidRequest
from serve_app.images.encoding import OutputFormat, encode, transcode
from serve_app.images.pixels import RGB

PHOTO: RGB = data.astronaut()


def read(encoded: bytes) -> tuple[RGB, str | None]:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB")), image.format


def test_png_is_lossless_whatever_the_compression() -> None:
    for compression in (None, 0, 100):
        pixels, container = read(encode(PHOTO, OutputFormat.PNG, compression))
        assert container == "PNG"
        assert np.array_equal(pixels, PHOTO)


@pytest.mark.parametrize("output_format", [OutputFormat.JPEG, OutputFormat.WEBP])
def test_compression_trades_bytes_for_likeness(output_format: OutputFormat) -> None:
    low, default, high = (encode(PHOTO, output_format, value) for value in (10, None, 100))
    assert len(low) < len(default) < len(high)
    pixels, container = read(default)
    assert container == output_format.name
    assert pixels.shape == PHOTO.shape
    assert peak_signal_noise_ratio(PHOTO, pixels, data_range=255) > 35


@pytest.mark.parametrize("compression", [-1, 101])
def test_compression_out_of_range_is_the_callers_fault(compression: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        encode(PHOTO, OutputFormat.PNG, compression)
    assert caught.value.param == "output_compression"


def test_transcoding_is_encoding_the_same_pixels() -> None:
    png = encode(PHOTO)
    assert transcode(png, OutputFormat.PNG) is png
    for output_format in (OutputFormat.JPEG, OutputFormat.WEBP):
        assert transcode(png, output_format, 80) == encode(PHOTO, output_format, 80)


def test_media_types() -> None:
    assert [each.media_type for each in OutputFormat] == ["image/png", "image/jpeg", "image/webp"]
