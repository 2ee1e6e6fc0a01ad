"""What an instruction quotes, in any of the quotation marks of its languages."""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUOTED = re.compile(
    r"(?<![0-9])\"([^\"\n]{1,300})\""  # after a digit it is an inch
    r"|“([^”\n]{1,300})”|「([^」\n]{1,300})」|『([^』\n]{1,300})』|《([^》\n]{1,300})》"
    # A single quote opens and closes outside of words; within them it is an apostrophe.
    r"|(?<![A-Za-z0-9])['‘]((?:[^'‘’\n]|(?<=\w)['’](?=\w)){1,300}?)['’](?![A-Za-z0-9])"
)


@dataclass(frozen=True, slots=True)
class Quotation:
    """``text`` without its marks; with them it is ``prompt[start:end]``."""

    text: str
    start: int
    end: int


def quotations(prompt: str) -> tuple[Quotation, ...]:
    """Find what ``prompt`` quotes, in order. Linear in its length."""
    return tuple(
        Quotation(next(filter(None, found.groups())), found.start(), found.end())
        for found in _QUOTED.finditer(prompt)
    )


def without_quotations(prompt: str, mark: str = " ") -> str:
    """``prompt`` with ``mark`` in place of everything quoted."""
    return _QUOTED.sub(mark, prompt)
