import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from serve_app.quality.brand_colours import conformity

BLUE, YELLOW, RED = (10, 132, 255), (250, 220, 60), (200, 30, 30)
CHANNEL = st.integers(0, 255)
COLOUR = st.tuples(CHANNEL, CHANNEL, CHANNEL)


def striped(*parts: tuple[tuple[int, int, int], int]) -> np.ndarray:
    """Stripes of (colour, rows)."""
    return np.concatenate([np.full((rows, 100, 3), colour, np.uint8) for colour, rows in parts])


def test_the_palette_has_the_colours_and_their_shares() -> None:
    found = conformity(striped((BLUE, 50), (YELLOW, 30), (RED, 20)), [BLUE, RED])
    assert [entry.colour for entry in found.palette] == ["#0A84FF", "#FADC3C", "#C81E1E"]
    assert [entry.share for entry in found.palette] == [0.5, 0.3, 0.2]
    assert found.palette[0].delta_e == found.palette[2].delta_e == 0.0
    assert found.palette[0].nearest == "#0A84FF"
    assert found.share == pytest.approx(0.7)
    assert found.missing == ()


def test_brand_colours_that_the_picture_does_not_have_are_missing() -> None:
    found = conformity(striped((BLUE, 60), (YELLOW, 40)), [BLUE, RED, (0, 255, 0)])
    assert found.share == pytest.approx(0.6)
    assert found.missing == ("#C81E1E", "#00FF00")


def test_the_distance_is_ciede2000() -> None:
    """A pair of Sharma's in sRGB: grey 119 and 136, by the formula's reference code."""
    entry = conformity(striped(((119, 119, 119), 10)), [(136, 136, 136)]).palette[0]
    assert entry.delta_e == pytest.approx(6.46, abs=0.05)


def test_the_limit_decides() -> None:
    picture = striped(((119, 119, 119), 10))
    assert conformity(picture, [(136, 136, 136)], 7.0).share == 1.0
    found = conformity(picture, [(136, 136, 136)], 6.0)
    assert found.share == 0.0
    assert found.missing == ("#888888",)
    assert found.delta_e == 6.0


def test_clusters_that_look_alike_are_one_entry() -> None:
    found = conformity(striped((BLUE, 50), ((12, 130, 253), 50)), [BLUE])
    assert len(found.palette) == 1


@settings(max_examples=20)
@given(colours=st.lists(COLOUR, min_size=1, max_size=12), brand=st.lists(COLOUR, min_size=1))
def test_any_picture_has_a_palette_that_adds_up(
    colours: list[tuple[int, int, int]], brand: list[tuple[int, int, int]]
) -> None:
    picture = striped(*((colour, 8) for colour in colours))
    found = conformity(picture, brand)
    assert found == conformity(picture, brand)
    assert 1 <= len(found.palette) <= 8
    assert sum(entry.share for entry in found.palette) == pytest.approx(1.0, abs=1e-3)
    assert 0.0 <= found.share <= 1.0
    near = sum(entry.share for entry in found.palette if entry.delta_e <= 10.0)
    assert found.share == pytest.approx(near, abs=2e-3)


def test_a_photo_is_measured_as_json() -> None:
    told = json.loads(json.dumps(conformity(data.coffee(), [(172, 47, 17)]).to_json()))
    assert set(told) == {"share", "delta_e", "missing", "palette"}
    assert set(told["palette"][0]) == {"colour", "share", "nearest", "delta_e"}
    assert 0.05 < told["share"] < 0.6
    assert told["missing"] == []


def test_a_brand_without_a_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one colour"):
        conformity(data.coffee(), [])
