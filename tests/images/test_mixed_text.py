from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from serve_app.images.mixed_text import draw_text, shortened, text_length

KOREAN = Path("/usr/share/fonts/truetype/nanum/NanumGothic.ttf")


def drawn(text: str) -> np.ndarray:
    image = Image.new("RGB", (400, 40), "white")
    draw_text(ImageDraw.Draw(image), (4, 4), text, (0, 0, 0), 20)
    return np.asarray(image)


@settings(max_examples=40)
@given(text=st.text(max_size=30))
def test_any_text_can_be_drawn_and_shortened(text: str) -> None:
    drawn(text)
    short = shortened(text, 20, 80)
    assert text_length(short, 20) <= 80
    assert short == text or short.endswith("...")


def test_as_much_as_fits_stays() -> None:
    assert shortened("a title", 20, 400) == "a title"
    short = shortened("a very long title of a picture", 20, 120)
    assert "a very long title".startswith(short.removesuffix("..."))
    assert len(short) > 8


@pytest.mark.skipif(not KOREAN.exists(), reason="the machine has no Korean font")
def test_each_character_is_drawn_in_a_font_that_has_it() -> None:
    assert not np.array_equal(drawn("서"), drawn("울"))
    assert text_length("서울 ok", 20) == pytest.approx(
        text_length("서울", 20) + text_length(" ok", 20)
    )


def test_what_no_font_has_is_a_question_mark() -> None:
    assert np.array_equal(drawn("a\U0010fffdb"), drawn("a?b"))


def test_control_characters_are_spaces() -> None:
    assert np.array_equal(drawn("a\x00b\nc"), drawn("a b c"))


@pytest.mark.skipif(not KOREAN.exists(), reason="the machine has no Korean font")
def test_decomposed_syllables_are_drawn_as_whole_ones() -> None:
    assert np.array_equal(drawn("\u1109\u1165\u110b\u116e\u11af"), drawn("서울"))
