"""Lines as a reader would give them."""

from serve_app.images.masks import Box
from serve_app.quality.text.reading import Readings, TextLine


def line(text: str, top: int = 0, confidence: float = 0.99) -> TextLine:
    return TextLine(text, Box(10, top, 10 + 12 * len(text), top + 20), confidence)


def lines(*texts: str) -> tuple[TextLine, ...]:
    return tuple(line(text, 30 * number) for number, text in enumerate(texts))


def readings(before: tuple[str, ...], after: tuple[str, ...]) -> Readings:
    return Readings(lines(*before), lines(*after))
