"""Where a line of text may end: at spaces, and in Chinese, Japanese and Korean anywhere.

The few rules of UAX #14 that a caption needs: no line begins with a closing mark or ends with
an opening one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_ANYWHERE = (
    r"\u2e80-\u2fff\u3040-\u31ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_OPENING = r"\(\[\{“‘（［｛「『《〈【〔"
_CLOSING = r"\)\]\}”’）］｝」』》〉】〕、。，．！？：；,.!?:;…％%ー々"
_FREE = rf"[{_OPENING}]*[{_ANYWHERE}][{_CLOSING}]*"
_PIECE = re.compile(rf"\s+|{_FREE}|[^\s{_ANYWHERE}]+?(?=\s|{_FREE}|$)")


def broken(text: str, length: Callable[[str], float], width: float) -> list[str]:
    """Return ``text`` in lines of at most ``width`` by ``length``, filled one after the other.

    Line breaks of the text stay. A word that is longer alone has a line of its own, which is
    then too long.
    """
    return [line for part in text.splitlines() for line in _filled(part, length, width)]


def _filled(text: str, length: Callable[[str], float], width: float) -> Iterator[str]:
    line = ""
    for piece in _PIECE.findall(text):
        if line.strip() and not piece.isspace() and length((line + piece).strip()) > width:
            yield line.strip()
            line = ""
        line += piece
    if line.strip():
        yield line.strip()
