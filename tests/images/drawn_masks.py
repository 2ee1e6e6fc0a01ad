"""Masks drawn by hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from serve_app.images.masks import Editable

seeds = st.integers(0, 2**32 - 1)


@st.composite
def masks(draw: st.DrawFn, *, largest: int = 90) -> Editable:
    """Specks, blots and stripes of any density, now and then empty or full."""
    height, width = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    cell = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(seeds))
    coarse = rng.random((height // cell + 1, width // cell + 1)) < draw(st.floats(0, 1))
    return coarse.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width].copy()
