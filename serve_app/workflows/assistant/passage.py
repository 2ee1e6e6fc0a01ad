"""A stretch of a brief, whose quoted words no pattern can match, cut or change."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from serve_app.edits.quotations import quotations

MARK = "\ue000"
"""Stands for a quoted character: a private one, which means nothing in a brief."""

_EDGES = " \t\r\n\u3000,.;:!?，。；：！？、·•*-–—…"
_NEEDS_NO_GAP = re.compile(r"[一-鿿，。、；：！？]|[\s,.;:!?]$")
_QUOTED = re.compile(f"({MARK}+)")
_SPACE = re.compile(r"\s+")
_BEFORE_STOP = re.compile(r" ([,.;:!?])(?=\s|$)")
_WORD = re.compile(rf"[^\W_]|{MARK}")


@dataclass(frozen=True, slots=True)
class Passage:
    """``masked`` is what patterns read: ``text``, character by character, with marks for quotes."""

    text: str
    masked: str

    @classmethod
    def of(cls, text: str) -> Passage:
        """The whole of ``text``."""
        masked, end = [], 0
        own = text.replace(MARK, " ")
        for quoted in quotations(text):
            masked += [own[end : quoted.start], MARK * (quoted.end - quoted.start)]
            end = quoted.end
        return cls(text, "".join([*masked, own[end:]]))

    def part(self, start: int, end: int | None = None) -> Passage:
        """The characters from ``start`` up to ``end``."""
        return Passage(self.text[start:end], self.masked[start:end])

    def split(self, pattern: re.Pattern[str], most: int = 0) -> list[Passage]:
        """What lies between the matches of ``pattern``, trimmed; nothing empty.

        Only the first ``most`` matches count, unless it is 0.
        """
        spans = [found.span() for found in pattern.finditer(self.masked)]
        return self.between(spans[:most] if most else spans)

    def between(self, spans: Iterable[tuple[int, int]]) -> list[Passage]:
        """What lies between ``spans``, which are in order, trimmed; nothing empty."""
        parts, end = [], 0
        for start, after in spans:
            parts.append(self.part(end, start).trimmed())
            end = max(end, after)
        return [part for part in (*parts, self.part(end).trimmed()) if part.says_something]

    def without(self, pattern: re.Pattern[str]) -> Passage:
        """The passage without what matches ``pattern``; words don't grow together."""
        texts, masks, end = [], [], 0
        for found in pattern.finditer(self.masked):
            if found.end() == found.start():
                continue
            gap = self._gap(found.start(), found.end())
            texts += [self.text[end : found.start()], gap]
            masks += [self.masked[end : found.start()], gap]
            end = found.end()
        return Passage("".join([*texts, self.text[end:]]), "".join([*masks, self.masked[end:]]))

    def _gap(self, start: int, end: int) -> str:
        """What to put where ``start`` to ``end`` is taken out."""
        around = self.masked[start - 1 : start] + self.masked[end : end + 1]
        return "" if _NEEDS_NO_GAP.search(around) else " "

    def trimmed(self) -> Passage:
        """The passage without white space and punctuation around it."""
        start = len(self.masked) - len(self.masked.lstrip(_EDGES))
        return self.part(start, max(start, len(self.masked.rstrip(_EDGES))))

    @property
    def says_something(self) -> bool:
        """Whether there is a letter, a digit or a quotation in it."""
        return _WORD.search(self.masked) is not None

    @property
    def line(self) -> str:
        """The text in one line, with single spaces between words; quotations as they are."""
        lines, end = [], 0
        for piece in _QUOTED.split(self.masked):
            own = self.text[end : end + len(piece)]
            end += len(piece)
            if not piece.startswith(MARK):
                own = _BEFORE_STOP.sub(r"\1", _SPACE.sub(" ", own))
            lines.append(own)
        return "".join(lines).strip()


def joined(*passages: Passage, gap: str = " ") -> Passage:
    """The passages one after the other, with ``gap`` between them."""
    return Passage(gap.join(one.text for one in passages), gap.join(one.masked for one in passages))
