"""The word on a sign is read back, also where the picture is not perfect."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.miniature.drawing import Background, Scene, draw
from serve_app.engine.miniature.glyphs import read_word
from serve_app.engine.miniature.vocabulary import LETTERS

words = st.text(LETTERS, min_size=2, max_size=5)


def sign(word: str, side: int = 64) -> np.ndarray:
    return draw(Scene(Background("pink", "plain"), (), word), side)


@given(word=words)
def test_a_drawn_word_is_read(word: str) -> None:
    assert read_word(sign(word)) == word


@given(word=words, seed=st.integers(0, 1000))
def test_a_slightly_blurred_and_noisy_word_is_read(word: str, seed: int) -> None:
    blurred = cv2.GaussianBlur(sign(word, 128), (0, 0), 1.0).astype(float)
    noisy = blurred + np.random.default_rng(seed).normal(0, 8, blurred.shape)
    assert read_word(np.clip(noisy, 0, 255).astype(np.uint8)) == word


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_without_a_sign_gets_an_answer(level: int) -> None:
    assert set(read_word(np.full((64, 64, 3), level, np.uint8))) <= set(LETTERS)
