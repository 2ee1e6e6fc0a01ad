"""Reads the word on a drawn sign: each letter's box against every letter of the alphabet."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from serve_app.engine.miniature.drawing import BOARD_LEVEL, INK_LEVEL, letter_boxes, letter_ink
from serve_app.engine.miniature.vocabulary import LETTERS, LONGEST_WORD, SHORTEST_WORD
from serve_app.images.pixels import RGB


def read_word(picture: RGB) -> str:
    """The word of 2 to 5 capital letters that explains a square picture's sign best.

    Every length is tried, and in every box the letter with the least mean squared difference
    of ink; the length whose whole board differs least wins. Always answers, also where there
    is no sign: compare with what should stand there.
    """
    side = picture.shape[0]
    luma = picture.astype(np.float32).mean(axis=2)
    ink = np.clip((BOARD_LEVEL - luma) / (BOARD_LEVEL - INK_LEVEL), 0, 1)
    _, word = min(
        _explained(ink, length, side) for length in range(SHORTEST_WORD, LONGEST_WORD + 1)
    )
    return word


def _explained(ink: npt.NDArray[np.float32], length: int, side: int) -> tuple[float, str]:
    """The best word of ``length`` and how much of the board's ink it leaves unexplained."""
    boxes = letter_boxes(length, side)
    top, bottom = boxes[0][1], boxes[0][3]
    # Between the frames, and free of them where letters of the longest word may stand.
    inner = letter_boxes(LONGEST_WORD, side)
    left, right = inner[0][0], inner[-1][2]
    rest = ink[top:bottom, left:right].copy()
    word = ""
    for x0, y0, x1, y1 in boxes:
        seen = ink[y0:y1, x0:x1]
        errors = {
            letter: float(((letter_ink(letter, y1 - y0, x1 - x0, side) - seen) ** 2).sum())
            for letter in LETTERS
        }
        best = min(errors, key=errors.__getitem__)
        word += best
        rest[:, x0 - left : x1 - left] -= letter_ink(best, y1 - y0, x1 - x0, side)
    return float((rest**2).sum()), word
