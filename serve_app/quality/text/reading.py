"""What a text reader gives: lines with their boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from serve_app.images.masks import Box
from serve_app.images.pixels import RGB


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line as read: ``box`` in pixels of the picture, ``confidence`` 0 to 1."""

    text: str
    box: Box
    confidence: float


class TextReader(Protocol):
    """Reads pictures; several threads may call it."""

    def supports(self, text: str) -> bool:
        """Whether the scripts of ``text`` can be read here; nothing may be said of others."""

    def read(self, pixels: RGB, *, korean: bool = False) -> tuple[TextLine, ...]:
        """Read (height, width, 3) uint8 pixels, lines in reading order.

        ``korean`` says that Hangul is to be expected, which takes a second reader.
        """


@dataclass(frozen=True, slots=True)
class Readings:
    """What is written in the original and in the edit, boxes in pixels of the original.

    ``region`` is the part that was read, ``None`` if it was all.
    """

    before: tuple[TextLine, ...]
    after: tuple[TextLine, ...]
    region: Box | None = None
