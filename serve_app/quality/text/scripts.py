"""Which scripts a text is written in: readers know some and are silent about the others."""

from __future__ import annotations

import re
import unicodedata

_NAMES = ("LATIN", "CJK", "HIRAGANA", "KATAKANA", "HANGUL")


def scripts(text: str) -> frozenset[str]:
    """The scripts of the letters of ``text``, by the first word of their Unicode names.

    One of LATIN, CJK (Han), HIRAGANA, KATAKANA and HANGUL, or ``OTHER``. Digits and signs have
    none.
    """
    return frozenset(
        _script(letter) for letter in unicodedata.normalize("NFKC", text) if letter.isalpha()
    )


def _script(letter: str) -> str:
    name = re.split("[ -]", unicodedata.name(letter, ""), maxsplit=1)[0]
    return name if name in _NAMES else "OTHER"
