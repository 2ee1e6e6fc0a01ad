"""Defects of words: what was to be written is wrong, or what was to stay."""

from __future__ import annotations

from numpy.random import Generator

from benchmarks.quality.edit import Lettered
from benchmarks.quality.outcome import Outcome
from benchmarks.quality.words import misspelt
from serve_app.images.pixels import RGB


def wrong_characters(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """The new words with one character wrong, two, or half of them."""
    lettered = _lettered(outcome)
    new, language = lettered.lines[lettered.edited], lettered.sign.language
    return _written(outcome, lettered.edited, misspelt(new, language, random)[strength - 1])


def old_text_kept(outcome: Outcome, _: int, __: Generator) -> RGB:
    """Nothing was written; all reads as before."""
    lettered = _lettered(outcome)
    return _written(outcome, lettered.edited, lettered.old)


def text_missing(outcome: Outcome, _: int, __: Generator) -> RGB:
    """The old words are gone and no new ones came."""
    return _written(outcome, _lettered(outcome).edited, "")


def old_text_beside(outcome: Outcome, strength: int, _: Generator) -> RGB:
    """The new words stand in the empty line below, the old ones are still there.

    45, 70 or 100 % of their paint.
    """
    lettered = _lettered(outcome)
    new = lettered.lines[lettered.edited]
    lines = [*lettered.lines[:-1], new]
    lines[lettered.edited] = lettered.old
    strengths = [1.0] * len(lines)
    strengths[lettered.edited] = (0.45, 0.7, 1.0)[strength - 1]
    drawn = lettered.sign.draw(lettered.photo, lines, strengths)
    return outcome.saved(outcome.residue.through_model(drawn))


def other_text_damaged(outcome: Outcome, strength: int, random: Generator) -> RGB:
    """The new words are right, but a line that was to stay is misspelt, from bad to worse."""
    lettered = _lettered(outcome)
    others = [row for row in range(len(lettered.lines)) if row != lettered.edited]
    row = others[int(random.integers(len(others)))]
    wrong = misspelt(lettered.lines[row], lettered.sign.language, random)[strength - 1]
    return _written(outcome, row, wrong)


def _written(outcome: Outcome, row: int, line: str) -> RGB:
    """The result if ``line`` stood in ``row``, and all else were right."""
    lettered = _lettered(outcome)
    lines = list(lettered.lines)
    lines[row] = line
    drawn = lettered.sign.draw(lettered.photo, lines)
    return outcome.saved(outcome.residue.through_model(drawn))


def _lettered(outcome: Outcome) -> Lettered:
    if outcome.edit.lettered is None:
        raise ValueError(f"there are no words in an edit of kind {outcome.kind.name}")
    return outcome.edit.lettered
