"""Whether an edit succeeded, against the exact target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serve_app.engine.miniature.glyphs import read_word
from serve_app.engine.miniature.scenes import Pair, changed_region
from serve_app.images.pixels import RGB

MOST_WRONG = 0.02
LEAST_OVERLAP = 0.8
MOST_STYLE_ERROR = 0.06


@dataclass(frozen=True, slots=True)
class Score:
    """How close an edit came.

    ``wrong`` is the share of pixels with a channel off by more than 12 % of full scale,
    ``overlap`` the intersection over union of what was changed and what should have been
    (1 where nothing should and nothing was), ``error`` the mean absolute error, a share of
    full scale. ``word`` is what the sign says, if the change was about it.
    """

    succeeded: bool
    wrong: float
    overlap: float
    error: float
    word: str | None = None


def score(pair: Pair, source: RGB, edited: RGB, target: RGB) -> Score:
    """Judge ``edited``; the three pictures are (side, side, 3) uint8.

    A style succeeds by its mean error, a word by being read back, a word with a background by
    being read and by its pixels, what should be left alone by its pixels, and everything else by
    pixels and overlap.
    """
    wrong = float(changed_region(edited, target).mean())
    overlap = _overlap(source, edited, target)
    error = float(np.abs(edited.astype(np.float64) - target).mean() / 255)
    exact = wrong <= MOST_WRONG and overlap >= LEAST_OVERLAP
    match pair.change.kind:
        case "style":
            return Score(error <= MOST_STYLE_ERROR, wrong, overlap, error)
        case "word":
            word = read_word(edited)
            return Score(word == pair.change.word, wrong, overlap, error, word)
        case "other":
            return Score(wrong <= MOST_WRONG, wrong, overlap, error)
        case "word and background":
            word = read_word(edited)
            return Score(exact and word == pair.change.word, wrong, overlap, error, word)
    return Score(exact, wrong, overlap, error)


def _overlap(source: RGB, edited: RGB, target: RGB) -> float:
    changed, should = changed_region(source, edited), changed_region(source, target)
    union = int((changed | should).sum())
    return float((changed & should).sum() / union) if union else 1.0
