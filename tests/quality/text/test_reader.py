"""The real models on drawn signs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from serve_app.images.masks import Box
from serve_app.images.pixels import RGB
from serve_app.quality.text.hangul import find_language_data
from serve_app.quality.text.matching import nearest
from serve_app.quality.text.reader import ScriptReader, open_reader
from serve_app.quality.text.reading import Readings
from serve_app.quality.text.region import read_both
from serve_app.quality.text.scripts import scripts

FONTS = {
    "latin": "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf",
    "cjk": "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "korean": "/usr/share/fonts/truetype/nanum/NanumGothic.ttf",
}
KOREAN = find_language_data() is not None
needs_korean = pytest.mark.skipif(not KOREAN, reason="tesseract-ocr-kor is not installed")


@cache
def reader() -> ScriptReader:
    return open_reader(2)


def sign(text: str, font: str, size: tuple[int, int] = (640, 400), height: int = 44) -> RGB:
    if not Path(FONTS[font]).is_file():
        pytest.skip(f"{FONTS[font]} is not installed")
    image = Image.new("RGB", size, (206, 196, 170))
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 120, 580, 240), (240, 236, 226), (90, 80, 70), 4)
    draw.text((90, 150), text, (40, 36, 34), ImageFont.truetype(FONTS[font], height))
    return np.asarray(image)


@pytest.mark.parametrize(
    ("text", "font"),
    [
        ("OPEN 24 HOURS", "latin"),
        ("Fresh bread $4.50", "latin"),
        ("Crème brûlée", "latin"),
        ("欢迎光临咖啡店", "cjk"),
        ("營業時間", "cjk"),
        ("いらっしゃいませ", "cjk"),
    ],
)
def test_signs_are_read_exactly(text: str, font: str) -> None:
    assert reader().supports(text)
    assert nearest(text, reader().read(sign(text, font))).edits == 0


@needs_korean
@pytest.mark.parametrize("text", ["어서 오세요", "커피 4,500원", "영업 종료"])
def test_korean_is_read_exactly(text: str) -> None:
    assert reader().supports(text)
    assert nearest(text, reader().read(sign(text, "korean"), korean=True)).edits == 0


@pytest.mark.parametrize(
    ("text", "other", "font"),
    [
        ("CLOSED", "CLOSFD", "latin"),
        ("COFFEE", "COFEE", "latin"),
        ("OPEN", "OPENS", "latin"),
        ("欢迎光临", "欢迎光监", "cjk"),
        ("营业中", "营业巾", "cjk"),
        pytest.param("커피숍", "커피솝", "korean", marks=needs_korean),
    ],
)  # fmt: skip
def test_one_wrong_character_is_seen(text: str, other: str, font: str) -> None:
    korean = font == "korean"
    assert nearest(text, reader().read(sign(text, font), korean=korean)).edits == 0
    assert nearest(text, reader().read(sign(other, font), korean=korean)).edits > 0


def test_without_a_korean_model_nothing_is_said_of_korean() -> None:
    alone = ScriptReader(reader()._rapid, None)
    assert not alone.supports("커피")
    assert alone.supports("coffee 咖啡 コーヒー 4.50")


@pytest.mark.parametrize("text", ["кофе", "قهوة", "กาแฟ"])
def test_scripts_without_a_model_are_not_supported(text: str) -> None:
    assert "OTHER" in scripts(text)
    assert not reader().supports(text)


def test_boxes_are_in_pixels_of_the_picture_however_large() -> None:
    large = np.asarray(Image.fromarray(sign("WELCOME", "latin")).resize((2560, 1600)))
    (found,) = reader().read(large)
    assert found.text == "WELCOME"
    assert found.box.left == pytest.approx(4 * 90, abs=30)
    assert found.box.bottom == pytest.approx(4 * 195, abs=60)


def test_a_plain_picture_has_no_text() -> None:
    assert reader().read(np.full((200, 300, 3), 180, np.uint8)) == ()


class CountingReader:
    """The real reader, and how much it was given."""

    def __init__(self) -> None:
        self.pixels = 0

    def supports(self, text: str) -> bool:
        return reader().supports(text)

    def read(self, pixels: RGB, *, korean: bool = False):  # type: ignore[no-untyped-def]
        self.pixels += pixels.shape[0] * pixels.shape[1]
        return reader().read(pixels, korean=korean)


def both(region: Box | None, counting: CountingReader) -> Readings:
    before, after = sign("OPEN", "latin", (640, 900)), sign("CLOSED", "latin", (640, 900))
    return read_both(counting, before, after, region, expected="CLOSED", old="OPEN")


def test_only_what_changed_is_read() -> None:
    counting = CountingReader()
    found = both(Box(80, 140, 320, 210), counting)
    assert [line.text for line in found.before] == ["OPEN"]
    assert [line.text for line in found.after] == ["CLOSED"]
    assert found.before[0].box.left == pytest.approx(90, abs=8)
    assert counting.pixels < 640 * 900


def test_what_is_not_found_there_is_looked_for_everywhere() -> None:
    counting = CountingReader()
    found = both(Box(80, 600, 300, 700), counting)
    assert found.region is None
    assert [line.text for line in found.after] == ["CLOSED"]
