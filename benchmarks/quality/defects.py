"""All kinds of defects, each of a good edit for which it is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy.random import Generator

from benchmarks.quality import damage, misplaced, misprints
from benchmarks.quality.edit import anywhere
from benchmarks.quality.outcome import Outcome
from benchmarks.quality.photos import Photo
from serve_app.images.pixels import RGB

Change = Callable[[Outcome, int, Generator], RGB]
"""Of an outcome, at a strength of 1 to 3, by a draw that is the same for all three."""

STRENGTHS = (1, 2, 3)
EXACT = (None,)
"""A defect that can't be weaker or stronger."""


@dataclass(frozen=True, slots=True)
class Defect:
    """``spoil`` gives what the user gets, in place of a good edit of one of the ``bases``.

    Only photos that it ``suits`` would show it.
    """

    name: str
    spoil: Change
    bases: tuple[str, ...]
    strengths: tuple[int | None, ...] = STRENGTHS
    suits: Callable[[Photo], bool] = anywhere


def _saved(change: Change) -> Change:
    """``change`` of the model's output, which then goes its way."""

    def spoil(outcome: Outcome, strength: int, random: Generator) -> RGB:
        return outcome.saved(change(outcome, strength, random))

    return spoil


def _detailed(photo: Photo) -> bool:
    return photo.detailed


def _structured(photo: Photo) -> bool:
    """Whether there is a form to break: bent or shuffled gravel is gravel."""
    return photo.detailed and not photo.texture


def _pictorial(photo: Photo) -> bool:
    return photo.detailed and photo.plain


def _with_gradients(photo: Photo) -> bool:
    """Whether steps of colour show: rough materials hide them."""
    return not photo.texture and photo.bright


def _coloured(photo: Photo) -> bool:
    return photo.coloured


_LOCAL = ("put_in", "recolour", "take_out", "light", "cover")
_KEPT = ("put_in", "exchange_en", "recolour", "exchange_zh", "take_out", "exchange_ko", "light")
"""Edits that leave all else as it is, with and without words."""

_MIXED = (*_KEPT, "recolour_and_grade", "put_in_and_grade")
_ALL = ("put_in", "warm", "exchange_en", "sunset", "recolour_and_grade", "recolour", "sepia")
"""Of each edit type; of styles only those that leave texture as it is."""

_CHANGING = ("put_in", "cool", "recolour", "recolour_and_grade", "cartoon", "light", "winter")
_EXCHANGES = ("exchange_en", "exchange_zh", "exchange_ko")
_MASKED = ("recolour_masked",)

DEFECTS: tuple[Defect, ...] = (
    Defect("no_op", misplaced.untouched, _CHANGING, EXACT),
    Defect("near_no_op", misplaced.hardly_touched, _CHANGING),
    Defect("one_colour", _saved(misplaced.one_colour), _ALL, EXACT),
    Defect("two_colours", _saved(misplaced.two_colours), _ALL, EXACT),
    Defect("faded", _saved(misplaced.faded), _ALL),
    Defect("only_noise", _saved(misplaced.only_noise), _ALL, EXACT),
    Defect("noise", _saved(damage.noise), _ALL),
    Defect("blur", _saved(damage.blur), _MIXED, suits=_detailed),
    Defect("over_sharpened", _saved(damage.sharpened), _KEPT, suits=_detailed),
    Defect("cast", _saved(damage.cast), _KEPT),
    Defect("oversaturated", _saved(damage.oversaturated), _KEPT, suits=_coloured),
    Defect("posterised", _saved(damage.posterised), _KEPT, suits=_with_gradients),
    Defect("jpeg", damage.jpeg, _ALL),
    Defect("grid_8", _saved(damage.grid_8), _ALL),
    Defect("grid_16", _saved(damage.grid_16), _ALL),
    Defect("zoom", _saved(damage.zoomed), _MIXED),
    Defect("shift", _saved(damage.shifted), _MIXED),
    Defect("double_image", _saved(damage.doubled), _KEPT, suits=_detailed),
    Defect("local_warp", _saved(damage.warped), _KEPT, suits=_structured),
    Defect("scrambled", _saved(damage.scrambled), _KEPT, suits=_structured),
    Defect("background_repainted", _saved(misplaced.repainted), _LOCAL),
    Defect("restyled", _saved(misplaced.restyled), _LOCAL, suits=_pictorial),
    Defect("spilt", misplaced.spilt, _MASKED),
    Defect("wrong_place", misplaced.elsewhere, _MASKED),
    Defect("wrong_character_en", misprints.wrong_characters, ("exchange_en",)),
    Defect("wrong_character_zh", misprints.wrong_characters, ("exchange_zh",)),
    Defect("wrong_character_ko", misprints.wrong_characters, ("exchange_ko",)),
    Defect("old_text_kept", misprints.old_text_kept, _EXCHANGES, EXACT),
    Defect("old_text_beside", misprints.old_text_beside, ("exchange_with_room",)),
    Defect("text_missing", misprints.text_missing, _EXCHANGES, EXACT),
    Defect("other_text_damaged", misprints.other_text_damaged, _EXCHANGES),
)
