import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from serve_app.images.logo import RGBA, Position, place_logo, taken_off_white, with_transparency
from serve_app.images.pixels import RGB


def disc(
    ground: tuple[int, int, int] = (255, 255, 255), ink: tuple[int, int, int] = (0, 90, 200)
) -> RGB:
    """A smooth disc of 160 pixels, drawn at 8 times its size."""
    big = Image.new("RGB", (1600, 1600), ground)
    ImageDraw.Draw(big).ellipse((160, 160, 1439, 1439), (0, 90, 200))
    return np.asarray(big.resize((200, 200), Image.Resampling.BOX))


def changed(before: RGB, after: RGB) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what differs."""
    rows, columns = np.nonzero((before != after).any(axis=-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


GREEN: RGBA = np.full((50, 100, 4), (0, 200, 0, 255), np.uint8)
PICTURE: RGB = np.random.default_rng(0).integers(60, 120, (400, 500, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("position", "place"),
    [
        (Position.TOP_LEFT, (16, 16)),
        (Position.TOP, (200, 16)),
        (Position.TOP_RIGHT, (384, 16)),
        (Position.LEFT, (16, 175)),
        (Position.CENTER, (200, 175)),
        (Position.RIGHT, (384, 175)),
        (Position.BOTTOM_LEFT, (16, 334)),
        (Position.BOTTOM, (200, 334)),
        (Position.BOTTOM_RIGHT, (384, 334)),
    ],
)
def test_a_logo_lies_where_it_should_and_changes_nothing_else(
    position: Position, place: tuple[int, int]
) -> None:
    """A fifth of 500 pixels across, and a margin of 4 % of 400."""
    placed = place_logo(PICTURE, GREEN, position)
    assert changed(PICTURE, placed) == (*place, place[0] + 100, place[1] + 50)
    assert (placed[place[1] : place[1] + 50, place[0] : place[0] + 100] == (0, 200, 0)).all()


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    own=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    position=st.sampled_from(list(Position)),
    share=st.floats(0.01, 1.0),
    margin=st.floats(0.0, 0.49),
)
def test_a_logo_of_any_shape_stays_within_any_picture(
    size: tuple[int, int], own: tuple[int, int], position: Position, share: float, margin: float
) -> None:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    logo = np.full((own[1], own[0], 3), 255, np.uint8)
    placed = place_logo(picture, logo, position, share, margin)
    left, top, right, bottom = changed(picture, placed)
    assert right - left <= max(1, share * size[0] + 0.5)
    assert bottom - top <= max(1, 2 * share * size[1] + 0.5)


def test_a_tall_logo_takes_at_most_twice_the_share_of_the_height() -> None:
    placed = place_logo(PICTURE, np.full((600, 100, 3), 255, np.uint8), Position.LEFT)
    _, top, _, bottom = changed(PICTURE, placed)
    assert bottom - top == 160


def test_what_is_transparent_leaves_pixels_as_they_are() -> None:
    logo = GREEN.copy()
    logo[:, 50:, 3] = 0
    placed = place_logo(PICTURE, logo, Position.TOP_LEFT)
    assert np.array_equal(placed[:, 67:], PICTURE[:, 67:])  # one pixel of 100 is 1 pixel here


def test_half_transparent_is_half_of_each() -> None:
    picture = np.full((100, 100, 3), 100, np.uint8)
    logo = np.full((20, 20, 4), (200, 200, 200, 128), np.uint8)
    placed = place_logo(picture, logo, Position.CENTER)
    assert placed[50, 50].tolist() == [150, 150, 150]


def test_hidden_colours_do_not_show_at_edges() -> None:
    """A white square amid transparent black, shrunk over white: all stays white."""
    logo = np.zeros((300, 300, 4), np.uint8)
    logo[90:210, 90:210] = 255
    white = np.full((200, 200, 3), 255, np.uint8)
    assert place_logo(white, logo, Position.CENTER).min() >= 254


@pytest.mark.parametrize(("width", "margin"), [(0.0, 0.0), (1.1, 0.0), (0.2, 0.5), (0.2, -0.1)])
def test_shares_out_of_range_are_refused(width: float, margin: float) -> None:
    with pytest.raises(ValueError, match="width_share"):
        place_logo(PICTURE, GREEN, Position.TOP, width, margin)


@pytest.mark.parametrize("ground", [(255, 255, 255), (0, 0, 0), (240, 200, 20)])
def test_a_flat_ground_is_taken_off_and_the_disc_is_the_same_on_any_other(
    ground: tuple[int, int, int],
) -> None:
    cut = with_transparency(disc(ground))
    assert cut[0, 0, 3] == 0
    assert cut[100, 100].tolist() == [0, 90, 200, 255]
    other = np.full((200, 200, 3), (30, 120, 60), np.uint8)
    expected = disc((30, 120, 60)).astype(int)
    placed = place_logo(other, cut, Position.CENTER, 1.0, 0.0)
    assert np.abs(placed - expected).max() <= 16  # what counts as the flat ground still


def test_thin_lines_keep_their_colour() -> None:
    logo = np.full((60, 60, 3), 255, np.uint8)
    logo[10:50, 30] = (20, 20, 20)
    cut = with_transparency(logo)
    assert cut[30, 30].tolist() == [20, 20, 20, 255]
    assert cut[30, 28, 3] == 0


def test_what_the_logo_encloses_stays() -> None:
    logo = np.full((60, 60, 3), 255, np.uint8)
    logo[10:50, 10:50] = (200, 0, 0)
    logo[25:35, 25:35] = 255
    cut = with_transparency(logo)
    assert cut[30, 30].tolist() == [255, 255, 255, 255]
    assert cut[5, 5, 3] == 0


@pytest.mark.parametrize(
    "logo", [PICTURE, np.full((20, 30, 3), 77, np.uint8), np.full((1, 1, 3), 9, np.uint8)]
)
def test_a_logo_without_a_flat_ground_or_without_anything_on_it_is_opaque(logo: RGB) -> None:
    cut = with_transparency(logo)
    assert np.array_equal(cut[..., :3], logo)
    assert cut[..., 3].min() == 255


@given(arrays(np.uint8, (5, 7, 3)), arrays(np.uint8, (5, 7)))
def test_what_was_laid_on_white_is_taken_off_and_laid_on_it_again(
    colours: NDArray[np.uint8], opacity: NDArray[np.uint8]
) -> None:
    share = opacity[..., None] / 255.0
    on_white = np.rint(255.0 + share * (colours - 255.0)).astype(np.uint8)
    logo = taken_off_white(on_white, opacity)
    assert np.array_equal(logo[..., 3], opacity)
    again = np.rint(255.0 + share * (logo[..., :3] - 255.0))
    assert np.abs(again - on_white).max() <= 1
