"""Contact sheets, for looking at the suite: a row per kind, each original beside its edit.

Run as ``python -m benchmarks.quality.sheet development good sheet.png``, or with the names of
kinds instead of ``good``; without any, all defects.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from PIL import Image, ImageDraw

from benchmarks.quality.suite import Sample, Split, samples
from serve_app.images.pixels import RGB

_CELL = (300, 240)
"""Width and height of one picture, pixels."""

_LABEL = 16
_COLUMNS = 4
"""Pairs of a kind; of defects each is one strength."""


def sheet(split: Split, kinds: Sequence[str], columns: int = _COLUMNS) -> Image.Image:
    """Draw ``columns`` samples of each of ``kinds``, original and edit side by side."""
    width, height = _CELL
    page = Image.new("RGB", (2 * columns * width, len(kinds) * (height + _LABEL)), "white")
    pen = ImageDraw.Draw(page)
    for row, kind in enumerate(kinds):
        top = row * (height + _LABEL)
        found = (sample for sample in samples(split) if sample.kind == kind)
        for column, sample in enumerate(islice(found, columns)):
            left = 2 * column * width
            pen.text((left + 3, top + 2), _label(sample), "black")
            page.paste(_thumbnail(sample.case.original), (left, top + _LABEL))
            page.paste(_thumbnail(sample.case.edited), (left + width, top + _LABEL))
    return page


def kinds_of(split: Split, *, good: bool) -> list[str]:
    """Names of all kinds of good or of defective edits, in the order of the suite."""
    return list(dict.fromkeys(s.kind for s in samples(split) if s.good is good))


def _label(sample: Sample) -> str:
    strength = "" if sample.strength is None else f", strength {sample.strength}"
    masked = "" if sample.case.mask is None else ", masked"
    return f"{sample.kind}: {sample.photo}, {sample.case.edit_type}{strength}{masked}"


def _thumbnail(pixels: RGB) -> Image.Image:
    image = Image.fromarray(pixels)
    image.thumbnail((_CELL[0] - 4, _CELL[1] - 4), Image.Resampling.LANCZOS)
    return image


def main(arguments: Sequence[str]) -> None:
    """Write a sheet: split, kinds, file."""
    split, *kinds, file = arguments
    chosen = Split(split)
    if not kinds or kinds == ["good"]:
        kinds = kinds_of(chosen, good=bool(kinds))
    sheet(chosen, kinds).save(Path(file))


if __name__ == "__main__":
    main(sys.argv[1:])
