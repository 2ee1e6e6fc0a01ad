"""Figures and lists as sentences have them, in ASCII: pictures are written with them too."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10


def joined(parts: Sequence[str], word: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *most, last = parts
    return f"{', '.join(most)} {word} {last}" if most else last


def percent(share: float) -> str:
    """``share`` (0 to 1) in percent, as short as it can be said: ``20%``."""
    return f"{100 * share:.6g}%"


def rate(share: float) -> str:
    """``share`` (0 to 1) in percent, with three significant digits: ``5.00%``."""
    return f"{_significant(100 * share)}%"


def chance(p: float) -> str:
    """A probability in percent that is never rounded to certainty: ``97.1%``, ``< 0.1%``."""
    if p < 0.001:
        return "< 0.1%"
    return "> 99.9%" if p > 0.999 else f"{p:.1%}"


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign: ``+0.430``."""
    sign = "+" if difference > 0 else ""
    return f"{sign}{_significant(100 * difference)}"


def probability(p: float) -> str:
    """What p is: ``= 0.032``, or ``< 0.0001``."""
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}"


def _significant(value: float) -> str:
    """Three digits that say something; many zeros in front are told as a power of ten."""
    if value == 0:
        return "0"
    if abs(value) < 0.001:
        return f"{value:.2e}"
    # Rounded first: 9.999 is 10.0, not 10.00.
    size = floor(log10(abs(float(f"{value:.2e}"))))
    return f"{value:.{max(0, 2 - size)}f}"
