"""Texts and times in the words and the length that people are shown."""

from __future__ import annotations


def shortened(text: str, characters: int) -> str:
    """``text`` on one line, cut to ``characters`` with an ellipsis if it is longer."""
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"


def duration(seconds: float) -> str:
    """A time for people, from milliseconds to days, in two units at most."""
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if round(seconds) < 3600:
        return _in_two(round(seconds), 60, "min", "s")
    if round(seconds / 60) < 24 * 60:
        return _in_two(round(seconds / 60), 60, "h", "min")
    return _in_two(round(seconds / 3600), 24, "d", "h")


def _in_two(count: int, size: int, large: str, small: str) -> str:
    return f"{count // size} {large} {count % size} {small}"
