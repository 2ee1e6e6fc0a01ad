"""What people are shown: one short line of a text, and times in units that they know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.bulk.wording import duration, shortened


@given(text=st.text(), characters=st.integers(2, 40))
def test_shortened_text_is_one_short_line(text: str, characters: int) -> None:
    short = shortened(text, characters)
    assert len(short) <= characters
    assert short == " ".join(short.split())


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 ms"),
        (0.25, "250 ms"),
        (0.9999, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (3599.7, "1 h 0 min"),
        (3600 * 5 + 60 * 7, "5 h 7 min"),
        (86399.0, "1 d 0 h"),
        (86400 * 3 + 3600 * 4, "3 d 4 h"),
    ],
)
def test_times_are_for_people(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
