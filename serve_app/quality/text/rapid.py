"""RapidOCR (PP-OCR on onnxruntime; weights in its wheel): Latin, Chinese and Japanese.

With its default number of threads it is five to ten times slower on few cores. What it does not
know, Korean first of all, it skips or reads as rubbish without a word: its boxes are right there,
too, and ``hangul`` reads them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidocr import RapidOCR

from serve_app.images.pixels import RGB

SCRIPTS = frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"})


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A line: what was read, how surely (0 to 1), and its corners (4, 2), clockwise."""

    text: str
    confidence: float
    corners: NDArray[np.float32]


class RapidReader:
    """The loaded models; one reading at a time, on ``threads`` threads."""

    def __init__(self, threads: int) -> None:
        self._lock = threading.Lock()
        self._ocr = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Det.limit_type": "max",  # `min` would enlarge a strip of text tenfold
                "Det.limit_side_len": 1024,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, pixels: RGB) -> list[Found]:
        """Find and read the lines of (height, width, 3) uint8 pixels, in reading order."""
        found = self._run(pixels, find=True, read=True)
        if found.boxes is None or found.txts is None:
            return []
        return [
            Found(text, float(score), np.asarray(corners, np.float32))
            for text, score, corners in zip(found.txts, found.scores, found.boxes, strict=True)
        ]

    def find(self, pixels: RGB) -> list[NDArray[np.float32]]:
        """Find lines in any script: their corners (4, 2), in reading order."""
        found = self._run(pixels, find=True, read=False)
        return [] if found.boxes is None else [np.asarray(it, np.float32) for it in found.boxes]

    def read_line(self, line: RGB) -> tuple[str, float]:
        """Read a line that was cut out; also how surely, 0 to 1."""
        found = self._run(line, find=False, read=True)
        return (found.txts[0], float(found.scores[0])) if found.txts else ("", 0.0)

    def _run(self, pixels: RGB, *, find: bool, read: bool) -> Any:
        bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        with self._lock:
            # All of them each time: it remembers what it was last told. Upside-down text is none.
            return self._ocr(bgr, use_det=find, use_cls=False, use_rec=read)
