import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from serve_app.images.contact_sheet import Cell, Tone, contact_sheet, contact_sheet_from
from serve_app.images.pixels import RGB

RED = (255, 0, 0)


def flat(width: int, height: int, colour: tuple[int, int, int] = RED) -> RGB:
    return np.full((height, width, 3), colour, np.uint8)


def extent(page: RGB, colour: tuple[int, int, int] = RED) -> tuple[int, int]:
    """(width, height) of all that has ``colour``."""
    rows, columns = np.nonzero((page == colour).all(axis=-1))
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


@settings(max_examples=12)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), max_size=12),
    columns=st.one_of(st.none(), st.integers(1, 9)),
    title=st.text(max_size=40),
    tone=st.sampled_from(["good", "warn", "bad", "plain"]),
)
def test_any_cells_make_a_page(
    sizes: list[tuple[int, int]], columns: int | None, title: str, tone: Tone
) -> None:
    cells = [Cell(flat(*size), title, (title, "a line " * 30), tone) for size in sizes]
    page = contact_sheet(title, cells, columns, title)
    assert page.dtype == np.uint8
    assert page.ndim == page.shape[2] == 3
    assert max(page.shape) <= 4000


@pytest.mark.parametrize("size", [(800, 400), (400, 800), (1000, 100), (300, 300)])
def test_pictures_keep_their_proportions(size: tuple[int, int]) -> None:
    width, height = extent(contact_sheet("one", [Cell(flat(*size), "red")]))
    assert max(width, height) == 420
    assert width / height == pytest.approx(size[0] / size[1], rel=0.03)


def test_small_pictures_are_enlarged_at_most_twice() -> None:
    assert extent(contact_sheet("one", [Cell(flat(40, 30), "red")])) == (80, 60)


def test_a_thousand_cells_stay_on_a_page_with_one_picture_in_hand_at_a_time() -> None:
    asked: list[int] = []

    def cell_at(number: int) -> Cell:
        asked.append(number)
        return Cell(flat(64, 48), f"variation {number}", ("line",), "good")

    page = contact_sheet_from("all", 1000, cell_at)
    assert asked == list(range(1000))
    assert max(page.shape) <= 4000
    red = (page == RED).all(axis=-1)
    assert red.sum() == 1000 * 96 * 72


@pytest.mark.parametrize(("count", "columns", "rows"), [(15, 5, 3), (6, 3, 2), (7, 7, 1)])
def test_columns_are_as_wished(count: int, columns: int, rows: int) -> None:
    page = contact_sheet("grid", [Cell(flat(400, 400), "")] * count, columns)
    red = (page == RED).all(axis=-1)
    starts = [np.count_nonzero(np.diff(red.any(axis=axis).astype(int)) == 1) for axis in (0, 1)]
    assert starts == [columns, rows]


def test_tones_differ_and_plain_has_none() -> None:
    tones: tuple[Tone, ...] = ("good", "warn", "bad", "plain")
    pages = [contact_sheet("t", [Cell(flat(99, 99), "x", (), tone)]) for tone in tones]
    assert all(page.shape == pages[0].shape for page in pages)
    for number, page in enumerate(pages):
        assert all(not np.array_equal(page, other) for other in pages[number + 1 :])
    saturation = [np.ptp(page[page[..., 1] > 0].astype(int), axis=-1).max() for page in pages]
    assert min(saturation[:3]) > 80
    assert saturation[3] < 10


def test_words_never_leave_their_cell() -> None:
    """Two cells with the longest words: between them, and around, there is only paper."""
    words = "an endless title without an end " * 9
    cells = [Cell(data.coffee(), words, (words, "x" * 500), "bad")] * 2
    page = contact_sheet(words, cells, None, words)
    paper = page[0, 0]
    assert (page[:, :26] == paper).all()
    assert (page[:, -26:] == paper).all()
    below = page[150:, 28 + 420 + 2 : 28 + 420 + 21]
    assert (below == paper).all()


def test_words_in_all_scripts_are_drawn() -> None:
    page = contact_sheet(
        "修改 稽亭旨", [Cell(flat(9, 9), "겨울 세일 \U0010fffd", ("ΔE 3",))], None, "注"
    )
    assert (page[28:60, 28:150] < 100).any()


def test_no_cells_make_a_page_with_its_title() -> None:
    page = contact_sheet("nothing", [], None, "no results")
    assert page.shape[0] > 50
    assert (page < 100).any()
