"""Korean by Tesseract, in boxes that another reader has found.

Tesseract alone misses text in photos; a line cut out and brought to its favourite height it reads
right.
"""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tesserocr import OEM, PSM, PyTessBaseAPI

from serve_app.images.pixels import RGB

_HEIGHT = 56
"""Pixels that a line is brought to."""

_MARGIN = 0.1
"""Around a line, as a share of its height: with more it sees parts of other lines."""

_LANGUAGE = "kor"
_FOLDERS = ("/usr/share/tesseract-ocr/*/tessdata", "/usr/share/tessdata", "/opt/*/share/tessdata")


def find_language_data() -> Path | None:
    """The folder with Tesseract's Korean model, where packages put it; ``None`` without one."""
    root = Path("/")
    for pattern in _FOLDERS:
        for folder in sorted(root.glob(pattern.removeprefix("/")), reverse=True):
            if (folder / f"{_LANGUAGE}.traineddata").is_file():
                return folder
    return None


class HangulReader:
    """Tesseract with its Korean model from ``folder``; one line at a time."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._api = PyTessBaseAPI(
            path=str(folder), lang=_LANGUAGE, psm=PSM.SINGLE_LINE, oem=OEM.LSTM_ONLY
        )

    def read_line(self, line: RGB) -> tuple[str, float]:
        """Read a line that was cut out by ``cut_out``; also how surely, 0 to 1."""
        with self._lock:
            self._api.SetImage(Image.fromarray(line))
            text = self._api.GetUTF8Text().strip()
            return text, self._api.MeanTextConf() / 100.0


def cut_out(pixels: RGB, corners: NDArray[np.float32]) -> RGB:
    """The line in ``corners`` (4, 2), straightened, ``_HEIGHT`` pixels high and its margin."""
    width = float(np.linalg.norm(corners[1] - corners[0]))
    height = max(1.0, float(np.linalg.norm(corners[3] - corners[0])))
    scale = _HEIGHT / height
    margin = _MARGIN * _HEIGHT
    right, bottom = margin + width * scale, margin + _HEIGHT
    target = np.array(
        [[margin, margin], [right, margin], [right, bottom], [margin, bottom]], np.float32
    )
    transform = cv2.getPerspectiveTransform(corners, target)
    size = max(1, round(right + margin)), round(bottom + margin)
    cut: RGB = cv2.warpPerspective(
        pixels, transform, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return cut
