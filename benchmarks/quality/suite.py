"""The labelled suite: good and defective edits of real photos, made when they are looked at.

Each sample is decided by its split, kind, photo and number alone, so that it is the same in
every run and process. The three strengths of a defect share their good edit and their draw: one
group, in which only the strength differs.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import numpy as np

from benchmarks.quality.defects import DEFECTS, Defect
from benchmarks.quality.good import BY_NAME, GOOD
from benchmarks.quality.outcome import Outcome
from benchmarks.quality.photos import Photo, Split, photos
from serve_app.quality.case import Case

__all__ = ["Sample", "Split", "chain", "count", "samples"]

_GOOD = 8
"""Good edits of each kind at scale 1, and …"""

_GROUPS = 7
"""… groups of defective ones."""

_OTHERWISE = {
    "blur_background": 4,
    "replace_background": 6,
    "exchange_en": 14,
    "exchange_zh": 14,
    "exchange_ko": 14,
    "no_op": 14,
    "one_colour": 10,
    "two_colours": 10,
    "only_noise": 10,
    "wrong_character_en": 14,
    "wrong_character_zh": 14,
    "wrong_character_ko": 14,
}
"""What a rate of 1 is asked of has to be seen more often, what few photos suit less."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled edit.

    ``strength`` is 1 (about where a person notices), 2 (clearly visible) or 3 (obvious);
    ``None`` for good edits and for defects that have no strength. ``group`` is shared by the
    strengths of one draw.
    """

    photo: str
    split: Split
    kind: str
    good: bool
    strength: int | None
    group: str
    make: Callable[[], Case]

    @cached_property
    def case(self) -> Case:
        """The pictures and what was asked; made at the first look, which takes a tenth second."""
        return self.make()


def samples(split: Split, scale: float = 1.0) -> Iterator[Sample]:
    """Yield the samples of ``split``: first the good ones, then groups of defective ones.

    About 330 and 620 at ``scale`` 1, in proportion at others, at least one of each kind.
    """
    for kind in GOOD:
        suitable = [photo for photo in photos(split) if kind.suits(photo)]
        for number, photo in _dealt(suitable, kind.name, _draws(kind.name, _GOOD, scale)):
            group = f"{kind.name}/{photo.name}/{number}"
            make = partial(_good, kind.name, photo, _seed(group))
            yield Sample(photo.name, split, kind.name, True, None, group, make)
    for defect in DEFECTS:
        draws = _draws(defect.name, _GROUPS, scale)
        for number in range(draws):
            base = defect.bases[number % len(defect.bases)]
            suitable = [
                photo
                for photo in photos(split)
                if defect.suits(photo) and BY_NAME[base].suits(photo)
            ]
            photo = suitable[(_seed(defect.name) + number) % len(suitable)]
            yield from chain(defect, photo, number)


def chain(defect: Defect, photo: Photo, number: int) -> list[Sample]:
    """Return the ``number``-th draw of ``defect`` of ``photo`` at each strength, weak to strong."""
    base = defect.bases[number % len(defect.bases)]
    group = f"{defect.name}/{photo.name}/{number}"
    return [
        Sample(
            photo=photo.name,
            split=photo.split,
            kind=defect.name,
            good=False,
            strength=strength,
            group=group,
            make=partial(_defective, defect, base, photo, _seed(group), strength or 1),
        )
        for strength in defect.strengths
    ]


def count(split: Split, scale: float = 1.0) -> int:
    """How many ``samples`` there are."""
    return sum(1 for _ in samples(split, scale))


def _draws(kind: str, usual: int, scale: float) -> int:
    return max(1, round(_OTHERWISE.get(kind, usual) * scale))


def _dealt(suitable: list[Photo], kind: str, draws: int) -> Iterator[tuple[int, Photo]]:
    """Deal photos in turn, each kind beginning with another one."""
    for number in range(draws):
        yield number, suitable[(_seed(kind) + number) % len(suitable)]


def _seed(text: str) -> int:
    return zlib.crc32(text.encode())


def _good(kind: str, photo: Photo, seed: int) -> Case:
    outcome = _outcome(kind, photo, seed)
    return outcome.case(outcome.saved(outcome.output))


def _defective(defect: Defect, base: str, photo: Photo, seed: int, strength: int) -> Case:
    outcome = _outcome(base, photo, seed)
    # The same for all strengths, and another than that of the good edit.
    random = np.random.default_rng((seed, 1))
    return outcome.case(defect.spoil(outcome, strength, random))


@lru_cache(maxsize=2)
def _outcome(kind: str, photo: Photo, seed: int) -> Outcome:
    """Kept for the other strengths of a group, which come next."""
    return Outcome.draw(BY_NAME[kind], photo, seed)
