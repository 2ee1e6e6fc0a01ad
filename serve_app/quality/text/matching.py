"""Comparing words as they were read with words as they should be.

Both sides are brought into one form first: NFKC, case folded, without spaces, punctuation and
marks, which readers add and lose as they like. Signs that carry meaning stay: ``$5``, ``50%``,
``A+B`` and ``4.50`` differ from ``5``, ``50``, ``AB`` and ``450``. Letters are never merged: a
sign that says ``0PEN`` is wrong.

What is compared are runs of whole words. Any part of a line would do for an ``OPENS`` that should
be ``OPEN``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from serve_app.images.masks import Box
from serve_app.quality.text.reading import TextLine

_MEANING = frozenset("$€£¥₩%+&@#=")
_BETWEEN_DIGITS = frozenset(".,:/")
_LONGEST = 2.0
"""Runs longer than so many times the text (and a word) can't be near it."""


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring words, normalised and joined; ``words`` are their numbers in reading order."""

    text: str
    words: range
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """The run that is nearest to a text: ``edits`` is their Levenshtein distance in letters.

    ``length`` is the text's own length, normalised; ``run`` is ``None`` if nothing was read.
    """

    edits: int
    length: int
    run: Run | None = None

    @property
    def wrong(self) -> float:
        """Share of the text that is wrong, at most 1."""
        return min(1.0, self.edits / self.length) if self.length else 0.0

    @property
    def similarity(self) -> float:
        """1 - edits over the longer of both, 0 to 1 (normalised edit distance)."""
        longer = max(self.length, len(self.run.text) if self.run else 0)
        return max(0.0, 1.0 - self.edits / longer) if longer else 1.0


def normalise(text: str) -> str:
    """The letters, digits and signs of ``text`` that make a difference."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(
        letter
        for place, letter in enumerate(folded)
        if letter.isalnum()
        or letter in _MEANING
        or unicodedata.category(letter).startswith("M")
        or (letter in _BETWEEN_DIGITS and _between_digits(folded, place))
    )
    return unicodedata.normalize("NFKC", kept)  # what stands together now may be one letter


def similarity(first: str, second: str) -> float:
    """1 - normalised edit distance of two texts, 0 to 1."""
    return float(Levenshtein.normalized_similarity(normalise(first), normalise(second)))


def runs(lines: Sequence[TextLine], longest: int) -> Iterator[Run]:
    """All runs of neighbouring words, over the ends of lines, of at most ``longest`` letters.

    A single longer word is a run, too.
    """
    words = [
        (normal, line.box)
        for line in lines
        for word in line.text.split()
        if (normal := normalise(word))
    ]
    for first in range(len(words)):
        joined = ""
        for last in range(first, len(words)):
            joined += words[last][0]
            if last > first and len(joined) > longest:
                break
            boxes = tuple(dict.fromkeys(box for _, box in words[first : last + 1]))
            yield Run(joined, range(first, last + 1), boxes)


def nearest(text: str, lines: Sequence[TextLine], beside: Sequence[tuple[str, str]] = ()) -> Match:
    """Find where ``text`` reads best in ``lines``.

    Readers lose spaces, so what stood ``beside`` it, normalised (before and after it), may stick
    to a run without being an error.
    """
    wanted = normalise(text)
    best = Match(len(wanted), len(wanted))
    room = max((len(before) + len(after) for before, after in beside), default=0)
    for run in runs(lines, round(_LONGEST * len(wanted)) + room):
        for candidate in (run.text, *_without(run.text, beside)):
            match = Match(Levenshtein.distance(wanted, candidate), len(wanted), run)
            if best.run is None or _nearer(match, best):
                best = match
    return best


def neighbours(text: str, lines: Sequence[TextLine]) -> list[tuple[str, str]]:
    """What stands before and after ``text`` in each line that contains it, normalised."""
    wanted = normalise(text)
    found = []
    for line in lines:
        before, middle, after = normalise(line.text).partition(wanted)
        if wanted and middle and (before or after):
            found.append((before, after))
    return found


def _nearer(match: Match, other: Match) -> bool:
    """Fewer edits, and among as many the shorter run: what sticks to it is not its own."""
    return (match.edits, _letters(match)) < (other.edits, _letters(other))


def _letters(match: Match) -> int:
    return len(match.run.text) if match.run else 0


def _without(text: str, beside: Sequence[tuple[str, str]]) -> Iterator[str]:
    for before, after in beside:
        yield text.removeprefix(before).removesuffix(after)


def _between_digits(text: str, place: int) -> bool:
    return 0 < place < len(text) - 1 and text[place - 1].isdigit() and text[place + 1].isdigit()
