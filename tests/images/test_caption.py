from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from serve_app.errors import InvalidRequest
from serve_app.images.caption import Place, contrast, draw_caption, ink_on
from serve_app.images.fonts import find_font
from serve_app.images.pixels import RGB

FONT = find_font(None, None)
BLUE = (10, 132, 255)
CHANNEL = st.integers(0, 255)
KOREAN = Path("/usr/share/fonts/truetype/nanum")


def changed_rows(before: RGB, after: RGB) -> np.ndarray:
    return np.flatnonzero((before != after).any(axis=(1, 2)))


@pytest.mark.parametrize("position", ["top", "bottom"])
@pytest.mark.parametrize("size", [(1080, 1920), (1200, 630), (600, 400)])
def test_a_caption_takes_at_most_a_fifth_at_its_edge(
    position: Place, size: tuple[int, int]
) -> None:
    picture = np.full((size[1], size[0], 3), 200, np.uint8)
    drawn = draw_caption(picture, "Winter sale, " * 6, FONT, position, [BLUE])
    rows = changed_rows(picture, drawn)
    assert len(rows) <= 0.2 * size[1]
    assert len(rows) == rows[-1] - rows[0] + 1
    assert rows[0] == 0 if position == "top" else rows[-1] == size[1] - 1


@settings(max_examples=40)
@given(
    words=st.lists(st.text("abgjpqyÅW,.!", min_size=1, max_size=12), min_size=1, max_size=20),
    size=st.tuples(st.integers(60, 700), st.integers(60, 700)),
)
def test_words_never_reach_the_edges_of_the_band(words: list[str], size: tuple[int, int]) -> None:
    picture = np.full((size[1], size[0], 3), 200, np.uint8)
    try:
        drawn = draw_caption(picture, " ".join(words), FONT, "bottom", [BLUE])
    except InvalidRequest:
        return  # too long, which has a test of its own
    band = drawn[changed_rows(picture, drawn)]
    for edge in (band[0], band[-1], band[:, 0], band[:, -1]):
        assert (edge == BLUE).all()
    assert (band != BLUE).any() or set("".join(words)) <= set(",.")


@given(colour=st.tuples(CHANNEL, CHANNEL, CHANNEL))
def test_ink_contrasts_with_every_colour(colour: tuple[int, int, int]) -> None:
    assert contrast(ink_on(colour), colour) >= 4.5


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ((0, 0, 0), (255, 255, 255), 21.0),
        ((119, 119, 119), (255, 255, 255), 4.48),
        ((255, 0, 0), (255, 255, 255), 4.0),
        ((0, 0, 255), (0, 0, 0), 2.44),
    ],
)
def test_contrast_is_that_of_wcag(
    one: tuple[int, int, int], other: tuple[int, int, int], ratio: float
) -> None:
    assert contrast(one, other) == contrast(other, one) == pytest.approx(ratio, abs=0.005)


def test_without_a_colour_the_picture_darkens_enough_for_white() -> None:
    picture = np.full((400, 600, 3), 255, np.uint8)
    drawn = draw_caption(picture, "Coffee", FONT)
    level = int(drawn[-1, 0, 0])
    assert contrast((255, 255, 255), (level, level, level)) >= 4.5
    photo = data.coffee()
    band = draw_caption(photo, "Coffee", FONT)[-3:, :3]
    assert band.std() > 0


@pytest.mark.parametrize("text", ["word " * 400, "x" * 300])
def test_a_caption_that_would_be_unreadable_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="caption is too long for a picture of 600x400") as it:
        draw_caption(np.zeros((400, 600, 3), np.uint8), text, FONT)
    assert it.value.param == "caption"


def test_a_caption_that_the_font_can_not_draw_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="can't draw '겨울'") as refused:
        draw_caption(np.zeros((400, 600, 3), np.uint8), "겨울 sale", FONT)
    assert refused.value.param == "caption"


def test_no_words_leave_the_picture_as_it_is() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    assert np.array_equal(draw_caption(picture, " \n", FONT, "top", [BLUE]), picture)


@pytest.mark.skipif(not KOREAN.exists(), reason="the machine has no Korean font")
def test_korean_breaks_anywhere_and_fits() -> None:
    picture = np.full((400, 300, 3), 200, np.uint8)
    drawn = draw_caption(picture, "겨울세일" * 6, find_font(KOREAN, "nanumgothic"), "top", [BLUE])
    band = drawn[changed_rows(picture, drawn)]
    ink = (band != BLUE).any(axis=(1, 2))
    assert np.count_nonzero(np.diff(ink.astype(int)) == 1) >= 2  # rows of words
