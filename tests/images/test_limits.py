import pytest
from PIL import Image

from serve_app.config import LimitsConfig
from serve_app.errors import EditServiceError, PayloadTooLarge, UnusableImage
from serve_app.images.decoding import decode
from serve_app.images.limits import check_bytes, check_header
from tests.images.containers import png

SMALL = LimitsConfig(image_pixels=64 * 50, min_side=8, max_side=100, max_aspect=4.0)


def accepted(width: int, height: int, limits: LimitsConfig = SMALL) -> bool:
    try:
        image = decode(png(width, height), limits, "image")
    except UnusableImage:
        return False
    return (image.width, image.height) == (width, height)


@pytest.mark.parametrize(
    ("at_limit", "over"),
    [
        ((64, 50), (64, 51)),
        ((100, 32), (101, 31)),
        ((8, 8), (8, 7)),
        ((80, 20), (81, 20)),
        ((20, 80), (20, 81)),
    ],
    ids=["pixels", "side", "shortest_side", "aspect_wide", "aspect_tall"],
)
def test_exactly_at_a_limit_passes_and_one_over_does_not(
    at_limit: tuple[int, int], over: tuple[int, int]
) -> None:
    assert accepted(*at_limit)
    assert not accepted(*over)


def test_bytes_exactly_at_the_limit_pass() -> None:
    data = png(32, 32)
    check_bytes(data, LimitsConfig(image_bytes=len(data)), "image")
    with pytest.raises(PayloadTooLarge):
        check_bytes(data, LimitsConfig(image_bytes=len(data) - 1), "image")


def test_errors_name_the_field() -> None:
    with pytest.raises(EditServiceError) as caught:
        check_bytes(b"", SMALL, "mask")
    assert caught.value.param == "mask"


def test_a_header_is_judged_without_loading_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: object) -> None:
        raise AssertionError("decoded before the limits were checked")

    image = Image.new("RGB", (101, 101))
    monkeypatch.setattr(Image.Image, "load", load)
    with pytest.raises(UnusableImage):
        check_header(image, SMALL, "image")
