"""The picture: drawn for every verdict and every count, its words within the page."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from serve_app.workflows.ab_tests.ab_test import AbTest, Arm
from serve_app.workflows.ab_tests.analysis import analyse
from serve_app.workflows.ab_tests.picture import drawn, is_analysis
from tests.workflows.ab_tests.tables import ab_test, any_test

LONG = "a-name-as-long-as-names-can-be-" + "x" * 33
MARGIN = 36


def pixels(test: AbTest) -> np.ndarray:
    with Image.open(io.BytesIO(drawn(analyse(test)))) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def test_a_winner_is_green_and_a_broken_split_red() -> None:
    title = slice(20, 60)
    won = pixels(ab_test((500, 10_000), (600, 10_000)))[title].reshape(-1, 3)
    broken = pixels(ab_test((500, 10_000), (600, 12_000)))[title].reshape(-1, 3)
    assert (won == (30, 130, 76)).all(1).any()
    assert (broken == (190, 40, 44)).all(1).any()


def test_every_variant_has_a_row() -> None:
    heights = [len(pixels(ab_test(*[(500, 10_000)] * count))) for count in (3, 4, 8)]
    row = heights[1] - heights[0]
    assert heights[2] - heights[1] == 4 * row


@pytest.mark.parametrize("count", [2, 8])
def test_long_names_and_large_counts_stay_in_their_place(count: int) -> None:
    arms = tuple(Arm(f"{i}{LONG[1:]}", 4 * 10**11 + i, 10**12) for i in range(count))
    page = pixels(AbTest(arms, arms[0].name))
    paper = page[0, 0]
    assert (page[:, -MARGIN:] == paper).all()
    assert (page[:, :MARGIN] == paper).all()
    assert (page[-10:] == paper).all()


def test_a_picture_of_ours_is_known_again(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours.png", tmp_path / "other.png"
    ours.write_bytes(drawn(analyse(ab_test((500, 10_000), (600, 10_000)))))
    Image.new("RGB", (64, 64)).save(other)
    assert is_analysis(ours)
    assert not is_analysis(other)
    with pytest.raises(IsADirectoryError):
        is_analysis(tmp_path)


def test_nobody_leads_in_the_title_of_an_open_test() -> None:
    title = slice(20, 60)
    led = pixels(ab_test((500, 10_000), (560, 10_000)))[title]
    open_ = pixels(ab_test((1000, 20_000), (800, 20_000), (1002, 20_000)))[title]
    amber = [(page == (176, 120, 16)).all(2).any(0).nonzero()[0].max() for page in (led, open_)]
    assert amber[1] < amber[0]


def test_the_same_counts_make_the_same_picture() -> None:
    test = ab_test((500, 10_000), (600, 10_000))
    assert (pixels(test) == pixels(test)).all()


@given(any_test())
@settings(max_examples=12, deadline=None)
def test_whatever_was_counted_can_be_drawn(test: AbTest) -> None:
    assert pixels(test).shape[1] == 1240
