"""Scores: what counts as a successful edit, on pictures made for it."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from serve_app.engine.miniature.changes import CHANGES
from serve_app.engine.miniature.scenes import Pair, changed_region, draw_pair
from serve_app.engine.miniature.scoring import score

SIDE = 64


def example(kind: str, seed: int = 3) -> tuple[Pair, np.ndarray, np.ndarray]:
    pair = draw_pair(Random(seed), "held_out", kind)
    return (pair, *pair.pictures(SIDE))


@pytest.mark.parametrize("kind", tuple(CHANGES))
def test_the_target_succeeds(kind: str) -> None:
    pair, source, target = example(kind)
    got = score(pair, source, target, target)
    assert got.succeeded
    assert (got.wrong, got.overlap, got.error) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("kind", [kind for kind in CHANGES if kind != "other"])
def test_a_copy_of_the_source_fails(kind: str) -> None:
    pair, source, target = example(kind)
    assert not score(pair, source, source, target).succeeded


@pytest.mark.parametrize("kind", ["recolour", "remove", "add", "move", "background"])
def test_the_right_edit_in_a_spoilt_picture_fails(kind: str) -> None:
    pair, source, target = example(kind)
    spoilt = target.copy()
    spoilt[:2] = 255 - spoilt[:2]  # two of 64 rows: 3 % of the pixels
    got = score(pair, source, spoilt, target)
    assert not got.succeeded
    assert got.wrong == pytest.approx(changed_region(spoilt, target).mean())


def test_noise_below_the_tolerance_does_no_harm() -> None:
    pair, source, target = example("recolour")
    noise = np.random.default_rng(0).integers(-20, 21, target.shape)
    noisy = np.clip(target.astype(int) + noise, 0, 255).astype(np.uint8)
    assert score(pair, source, noisy, target).succeeded


def test_half_of_an_object_is_not_enough() -> None:
    pair, source, target = example("recolour")
    half = target.copy()
    _, columns = np.nonzero(changed_region(source, target))
    half[:, : int(np.median(columns))] = source[:, : int(np.median(columns))]
    got = score(pair, source, half, target)
    assert 0.3 < got.overlap < 0.7
    assert not got.succeeded


def test_another_word_fails_and_is_told() -> None:
    pair, source, target = example("word")
    other, _, wrong = example("word", seed=4)
    got = score(pair, source, wrong, target)
    assert (got.succeeded, got.word) == (False, other.change.word)


def test_a_style_may_be_six_percent_off() -> None:
    pair, source, target = example("style")
    for off, succeeds in ((14, True), (18, False)):
        shifted = np.where(target > 127, target - off, target + off).astype(np.uint8)
        assert score(pair, source, shifted, target).succeeded is succeeds


def test_what_should_be_left_alone_may_not_be_edited() -> None:
    pair, source, _ = example("other")
    _, _, edited = example("recolour")
    assert score(pair, source, source, source).succeeded
    assert not score(pair, source, 255 - edited, source).succeeded
