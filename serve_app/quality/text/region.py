"""Reading two pictures where they differ: what did not change reads the same."""

from __future__ import annotations

from serve_app.images.masks import Box
from serve_app.images.pixels import RGB
from serve_app.quality.text.matching import nearest
from serve_app.quality.text.reading import Readings, TextLine, TextReader

_ACROSS = 0.12
"""Margin left and right of a change, as a share of the width: lines go on there."""

_DOWN = 0.05
"""Margin above and below, as a share of the height."""

_MOST = 0.7
"""Share of the picture from which on reading a part of it saves nothing."""


def read_both(
    reader: TextReader,
    original: RGB,
    edited: RGB,
    region: Box | None,
    *,
    korean: bool = False,
    expected: str | None = None,
    old: str | None = None,
) -> Readings:
    """Read two pictures (height, width, 3) of one size in ``region``, or wholly without one.

    If a text that should be there is not (``old`` in the original, ``expected`` in the edit), it
    may stand elsewhere: then all is read before anything is said of it.
    """
    if region is not None:
        grown = _grown(region, original)
        if grown is not None:
            before = _read_part(reader, original, grown, korean)
            after = _read_part(reader, edited, grown, korean)
            if _has(before, old) and _has(after, expected):
                return Readings(before, after, grown)
    return Readings(reader.read(original, korean=korean), reader.read(edited, korean=korean))


def _has(lines: tuple[TextLine, ...], text: str | None) -> bool:
    return text is None or nearest(text, lines).edits == 0


def _grown(region: Box, pixels: RGB) -> Box | None:
    """``region`` with its margins; ``None`` if that is most of the picture."""
    height, width, _ = pixels.shape
    across, down = round(_ACROSS * width), round(_DOWN * height)
    grown = Box(
        max(0, region.left - across),
        max(0, region.top - down),
        min(width, region.right + across),
        min(height, region.bottom + down),
    )
    area = (grown.right - grown.left) * (grown.bottom - grown.top)
    return grown if area < _MOST * width * height else None


def _read_part(reader: TextReader, pixels: RGB, part: Box, korean: bool) -> tuple[TextLine, ...]:
    return tuple(
        TextLine(
            line.text,
            Box(
                line.box.left + part.left,
                line.box.top + part.top,
                line.box.right + part.left,
                line.box.bottom + part.top,
            ),
            line.confidence,
        )
        for line in reader.read(pixels[part.area], korean=korean)
    )
