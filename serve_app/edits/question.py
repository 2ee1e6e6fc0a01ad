"""What the text encoder, a vision-language model, can be asked beside its main work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from serve_app.images.pixels import RGB


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """``text`` about ``images`` (each (height, width, 3) uint8), of which there may be none.

    With ``max_tokens`` 0 it is a yes-or-no question, answered by the probability of "yes";
    otherwise the answer is written, greedily, in at most so many tokens.
    """

    text: str
    images: tuple[RGB, ...] = ()
    max_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """``yes`` is P(yes) / (P(yes) + P(no)) of a yes-or-no question; else ``text`` is written."""

    yes: float | None = None
    text: str = ""


Ask = Callable[[Question], Awaitable[Reply]]
"""Puts a question to an editor's text encoder; raises ``NoAnswer`` if there is none to be had."""
