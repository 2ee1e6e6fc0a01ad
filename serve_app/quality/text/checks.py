"""What readings say: is the new text right, is the old one gone, are the other lines kept?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from serve_app.images.masks import Box
from serve_app.quality.measurement import Measurement
from serve_app.quality.text.matching import Match, nearest, neighbours, normalise, runs, similarity
from serve_app.quality.text.reading import Readings, TextLine
from serve_app.quality.text.scripts import scripts

_READ = 0.8
"""Similarity from which a text counts as read."""

_SURE = 0.85
"""Confidence of lines that are held against an edit: others were hardly read before, either."""

_SHORTEST = 3
"""Letters of lines that are held against an edit."""


def needs_korean(*texts: str | None) -> bool:
    """Whether any of ``texts`` has Hangul, which takes a reader of its own."""
    return any("HANGUL" in scripts(text) for text in texts if text)


def target_text(readings: Readings, expected: str, old: str | None = None) -> Measurement:
    """The share of ``expected`` that is wrong where it reads best, 0 to 1.

    A second, misspelt copy beside a right one is not seen.
    """
    match = _expected(readings, expected, old)
    already = nearest(expected, readings.before).edits == 0
    evidence = {"expected": expected, "already_there": already, **_where(match)}
    return Measurement(match.wrong, evidence)


def old_text(readings: Readings, old: str, expected: str | None) -> Measurement:
    """How similar to ``old`` anything is that can still be read, 0 to 1.

    Words that are nearer to what is expected are the new text, however much it resembles the
    old ("50%" and "60%", "shop" and "shops").
    """
    if nearest(old, readings.before).similarity < _READ:
        return Measurement.unsupported("the old text could not be read in the original", old=old)
    wanted = normalise(old)
    new = set() if expected is None else _words_of_new(readings, expected, old)
    best = Match(len(wanted), len(wanted))
    for run in runs(readings.after, 2 * len(wanted)):
        if new.intersection(run.words):
            continue
        found = nearest(old, [TextLine(run.text, run.boxes[0], 1.0)])
        if found.similarity > best.similarity:
            best = Match(found.edits, len(wanted), run)
    return Measurement(best.similarity, {"old": old, **_where(best)})


def other_text(
    readings: Readings,
    old: str | None,
    expected: str | None,
    touched: Callable[[Box], bool] = lambda _: True,
) -> Measurement:
    """How well the worst of the other lines can still be read, 0 to 1; 1 if there are none.

    Only lines that were read well, that ``touched`` says the edit may have changed, and that are
    no part of what was to change, are held against it. One letter of each is forgiven: readers
    err, too.
    """
    changing = {box for text in (old, expected) if text for box in places(text, readings.before)}
    lines = [
        line
        for line in readings.before
        if line.confidence >= _SURE
        and len(normalise(line.text)) >= _SHORTEST
        and line.box not in changing
        and touched(line.box)
    ]
    if not lines:
        return Measurement(1.0, {"lines": 0})
    kept = [(_forgiving(nearest(line.text, readings.after)), line) for line in lines]
    match, line = min(kept, key=lambda pair: pair[0].similarity)
    evidence = {
        "lines": len(lines),
        "before": line.text,
        "after": match.run.text if match.run else "",
        "boxes": [list(line.box)],
    }
    return Measurement(match.similarity, evidence)


def _expected(readings: Readings, expected: str, old: str | None) -> Match:
    beside = neighbours(old, readings.before) if old else []
    beside += [(normalise(line.text), "") for line in readings.before]
    beside += [("", after) for after, _ in beside]
    return nearest(expected, readings.after, beside)


def _words_of_new(readings: Readings, expected: str, old: str) -> set[int]:
    """Numbers of the words in the edit that are the new text."""
    match = _expected(readings, expected, old)
    if match.run is None or similarity(match.run.text, old) > match.similarity:
        return set()
    return set(match.run.words)


def places(text: str, lines: Sequence[TextLine]) -> tuple[Box, ...]:
    """Boxes of the lines in which ``text`` stands, or of which it is a part."""
    match = nearest(text, lines, neighbours(text, lines))
    within = tuple(line.box for line in lines if normalise(text) in normalise(line.text))
    return within + (match.run.boxes if match.run and match.similarity >= _READ else ())


def _forgiving(match: Match) -> Match:
    return replace(match, edits=max(0, match.edits - 1))


def _where(match: Match) -> dict[str, object]:
    if match.run is None:
        return {"read": ""}
    return {"read": match.run.text, "boxes": [list(box) for box in match.run.boxes]}
