"""Names of variants and variations, which are also names of files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

_WORD = re.compile(r"[a-z0-9]+")
_SMALL = frozenset({
    "a", "an", "the", "with", "in", "on", "at", "of", "to", "for", "and", "or", "as", "into", "one",
    "version", "versions", "variant", "this", "that", "it", "its", "make", "change", "turn", "add",
    "use", "show", "write", "set", "put", "please", "picture", "photo", "image",
})  # fmt: skip
"""Words that tell one idea from another no better than a letter does."""

_MOST_WORDS = 4
_MOST_CHARACTERS = 40


def letter(index: int) -> str:
    """``A``, ``B``, …; from the 27th on ``V27``, …"""
    return chr(ord("A") + index) if index < 26 else f"V{index + 1}"


def names_of(texts: Sequence[str], given: Sequence[str | None] = ()) -> list[str]:
    """A name for each of ``texts``: the ``given`` one, or of its ASCII words, or its letter.

    Names differ by more than case, for file systems that ignore it: of two alike, both are letters.
    """
    names = [own or _slug(text) for text, own in zip_longest(texts, given)]
    folded = [name.casefold() for name in names]
    if "" in folded or len(set(folded)) < len(folded):
        return [letter(index) for index in range(len(texts))]
    return names


def _slug(text: str) -> str:
    """Up to four words of ``text`` that tell something; nothing if most of it is not ASCII."""
    own = [one for one in text if one.isalpha()]
    if sum(one.isascii() for one in own) * 2 < len(own):
        return ""
    words = [word for word in _WORD.findall(text.casefold()) if word not in _SMALL]
    return "-".join(words[:_MOST_WORDS])[:_MOST_CHARACTERS].strip("-")
