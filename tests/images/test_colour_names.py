import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.images.colour_names import hex_colour, parse_colour

CHANNEL = st.integers(0, 255)


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#0A84FF", (10, 132, 255)),
        ("#0a84ff", (10, 132, 255)),
        ("#F80", (255, 136, 0)),
        ("rebeccapurple", (102, 51, 153)),
        ("White", (255, 255, 255)),
    ],
)
def test_colours_as_people_write_them(text: str, colour: tuple[int, int, int]) -> None:
    assert parse_colour(text) == colour


@pytest.mark.parametrize(
    "text",
    ["", "#", "#12345", "#0A84FF80", "#12G", "0A84FF", "transparent", "hotpinkish",
     "rgb(1,2,3)", "rgb(300,0,0)", " red", "#FFF\n", "красный", "#１２３"],
)  # fmt: skip
def test_what_is_no_opaque_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a colour such as #0A84FF$"):
        parse_colour(text)


@given(colour=st.tuples(CHANNEL, CHANNEL, CHANNEL))
def test_a_colour_written_is_read_again(colour: tuple[int, int, int]) -> None:
    assert parse_colour(hex_colour(colour)) == colour
