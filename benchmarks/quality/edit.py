"""An edit as a perfect model would make it, and the kinds there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from benchmarks.quality.lab import Alpha, difference
from benchmarks.quality.lettering import Sign
from benchmarks.quality.photos import Photo
from serve_app.edits.request import EditType
from serve_app.edits.text_targets import NO_TEXT, TextTargets
from serve_app.images.masks import Editable
from serve_app.images.pixels import RGB

VISIBLE = 12.0
"""Distance in Lab (dE) from which on nobody overlooks a change."""

_LOCAL = (0.003, 0.25)
"""Share of the picture that a local edit visibly changes."""

_DRAWS = 30
"""How often a local edit is drawn anew that would be too small or too large to be one."""


@dataclass(frozen=True, slots=True, eq=False)
class Lettered:
    """How the words of an edit came to be, for drawing them otherwise.

    ``photo`` is what the sign hangs in. Line ``edited`` of ``lines`` (as they are to be in the
    end) is the new one, instead of ``old``.
    """

    sign: Sign
    photo: RGB
    lines: tuple[str, ...]
    edited: int
    old: str


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """``edited`` is exact: nothing but what was asked differs from ``original``.

    ``touched`` is where that is. With a ``mask`` the result is put together as the engine
    does it.
    """

    original: RGB
    edited: RGB
    prompt: str
    touched: Alpha
    mask: Editable | None = None
    text: TextTargets = NO_TEXT
    lettered: Lettered | None = None


Make = Callable[[Photo, Generator], Edit]


def anywhere(_: Photo) -> bool:
    """Every photo will do."""
    return True


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of good edit: ``make`` draws one of any photo that ``suits``."""

    name: str
    edit_type: EditType
    make: Make
    suits: Callable[[Photo], bool] = anywhere


def local(make: Make) -> Make:
    """``make``, drawn anew until it changes visibly, and no more than a local edit does.

    The made edit raises ``ValueError`` if no draw does.
    """

    def drawn(photo: Photo, random: Generator) -> Edit:
        for _ in range(_DRAWS):
            edit = make(photo, random)
            if _LOCAL[0] <= visible_share(edit.original, edit.edited) <= _LOCAL[1]:
                return edit
        raise ValueError(f"no local edit of {photo.name} came out visible")

    return drawn


def visible_share(original: RGB, edited: RGB) -> float:
    """Share of the picture that anybody sees has changed."""
    return float(np.mean(difference(original, edited) > VISIBLE))
