"""The reader of all scripts: RapidOCR, and Tesseract for Korean where it is installed."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from serve_app.images.geometry import resize, within
from serve_app.images.masks import Box
from serve_app.images.pixels import RGB
from serve_app.quality.text.hangul import HangulReader, cut_out, find_language_data
from serve_app.quality.text.rapid import SCRIPTS, Found, RapidReader
from serve_app.quality.text.reading import TextLine
from serve_app.quality.text.scripts import scripts

logger = logging.getLogger(__name__)

_SIDE = 1024
"""Longest side that is read, pixels: letters of a sign stay above the 16 that are needed."""


class ScriptReader:
    """Implements ``TextReader``; without a Korean reader Hangul is not supported."""

    def __init__(self, rapid: RapidReader, hangul: HangulReader | None) -> None:
        self._rapid = rapid
        self._hangul = hangul
        self._scripts = SCRIPTS | ({"HANGUL"} if hangul else set())

    def supports(self, text: str) -> bool:
        """Whether all scripts of ``text`` can be read here."""
        return scripts(text) <= self._scripts

    def read(self, pixels: RGB, *, korean: bool = False) -> tuple[TextLine, ...]:
        """Read (height, width, 3) uint8 pixels, lines in reading order."""
        width = pixels.shape[1]
        pixels = resize(pixels, within(pixels, _SIDE))
        scale = pixels.shape[1] / width
        found = self._read_korean(pixels) if korean else self._rapid.read(pixels)
        return tuple(
            TextLine(one.text, _box(one.corners, scale), one.confidence)
            for one in found
            if one.text
        )

    def _read_korean(self, pixels: RGB) -> list[Found]:
        """Lines with Hangul by Tesseract, the others by whoever is surer of them.

        RapidOCR is always sure of a price, and leaves out the Korean words beside it.
        """
        if self._hangul is None:
            return self._rapid.read(pixels)
        lines = []
        for corners in self._rapid.find(pixels):
            line = cut_out(pixels, corners)
            reading = self._hangul.read_line(line)
            if "HANGUL" not in scripts(reading[0]):
                reading = max(reading, self._rapid.read_line(line), key=lambda one: one[1])
            lines.append(Found(*reading, corners))
        return lines


def _box(corners: NDArray[np.float32], scale: float) -> Box:
    """The upright box around ``corners``, in pixels of the picture before it was shrunk."""
    left, top = np.floor(corners.min(axis=0) / scale)
    right, bottom = np.ceil(corners.max(axis=0) / scale)
    return Box(int(left), int(top), int(right), int(bottom))


def open_reader(threads: int) -> ScriptReader:
    """Load the models, once per process; ``threads`` are CPU threads for one reading."""
    folder = find_language_data()
    if folder is None:
        logger.info("without Tesseract's Korean model: texts in Korean are not judged")
    return ScriptReader(RapidReader(threads), None if folder is None else HangulReader(folder))
