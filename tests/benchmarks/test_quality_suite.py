"""The labelled suite: the same in every run, split by photo, and labelled right."""

from collections import defaultdict
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from benchmarks.quality.defects import DEFECTS
from benchmarks.quality.edit import visible_share
from benchmarks.quality.good import GOOD
from benchmarks.quality.photos import LONGEST, PHOTOS, Photo, photos
from benchmarks.quality.residue import Residue
from benchmarks.quality.suite import Sample, Split, chain, count, samples
from benchmarks.quality.words import VOCABULARIES, Language, letters, misspelt
from serve_app.edits.request import EditType

_SMALL = 0.08
"""Scale of a suite with one or few draws of each kind."""


def sample_of(kind: str, split: Split = Split.DEVELOPMENT) -> Sample:
    return next(sample for sample in samples(split, _SMALL) if sample.kind == kind)


def chain_of(kind: str) -> list[Sample]:
    group = sample_of(kind).group
    return [sample for sample in samples(Split.DEVELOPMENT, _SMALL) if sample.group == group]


def test_no_photo_is_in_both_splits() -> None:
    development, test = photos(Split.DEVELOPMENT), photos(Split.TEST)
    assert len(development) >= 8
    assert len(test) >= 8
    assert {photo.file for photo in development}.isdisjoint(photo.file for photo in test)
    for split in Split:
        names = {photo.name for photo in photos(split)}
        assert {sample.photo for sample in samples(split)} == names


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name)
def test_photos_are_rgb_and_not_too_large(photo: Photo) -> None:
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.shape[2] == 3
    assert max(photo.pixels.shape) <= LONGEST


@pytest.mark.parametrize("split", Split)
def test_the_suite_is_as_large_as_it_says(split: Split) -> None:
    every = list(samples(split))
    good = sum(sample.good for sample in every)
    assert 250 <= good <= 350
    assert 500 <= len(every) - good <= 680
    assert count(split) == len(every)
    assert count(split, 2.0) > 1.9 * len(every)


@pytest.mark.parametrize("split", Split)
def test_every_kind_is_in_either_split_at_any_scale(split: Split) -> None:
    every = list(samples(split, 0.01))
    assert {sample.kind for sample in every if sample.good} == {kind.name for kind in GOOD}
    assert {sample.kind for sample in every if not sample.good} == {one.name for one in DEFECTS}


def test_there_are_enough_kinds() -> None:
    assert {kind.edit_type for kind in GOOD} == set(EditType)
    assert len(GOOD) >= 12
    assert sum(len(defect.strengths) == 3 for defect in DEFECTS) >= 16


@pytest.mark.parametrize("split", Split)
def test_groups_are_complete_and_come_in_one_piece(split: Split) -> None:
    strengths: defaultdict[str, list[int | None]] = defaultdict(list)
    order = []
    for sample in samples(split):
        strengths[sample.group].append(sample.strength)
        order.append(sample.group)
    assert all(found in ([None], [1, 2, 3]) for found in strengths.values())
    assert len(list(dict.fromkeys(order))) == 1 + sum(
        one != other for one, other in pairwise(order)
    )


@pytest.mark.parametrize("kind", ["recolour", "exchange_ko", "cast", "wrong_place", "only_noise"])
def test_the_same_sample_has_the_same_pixels(kind: str) -> None:
    first = sample_of(kind).case
    chain(DEFECTS[0], photos(Split.TEST)[0], 1)[0].case.edited.sum()  # something else in between
    chain(DEFECTS[0], photos(Split.TEST)[1], 2)[0].case.edited.sum()
    second = sample_of(kind).case
    assert np.array_equal(first.original, second.original)
    assert np.array_equal(first.edited, second.edited)
    assert (first.prompt, first.text) == (second.prompt, second.text)


def test_no_pixels_are_made_before_they_are_looked_at() -> None:
    every = list(islice(samples(Split.TEST, 50.0), 4000))
    assert len(every) == 4000


@pytest.mark.parametrize("kind", [kind.name for kind in GOOD])
def test_good_edits_are_valid_and_visible(kind: str) -> None:
    case = sample_of(kind).case
    assert case.edited.dtype == case.original.dtype == np.uint8
    assert case.edited.shape == case.original.shape
    assert case.prompt
    assert visible_share(case.original, case.edited) > 0.001
    assert (case.mask is not None) == kind.endswith("_masked")
    if case.mask is not None:
        assert case.mask.dtype == np.bool_
        assert case.mask.shape == case.original.shape[:2]
        assert 0 < case.mask.mean() < 0.6
    if case.edit_type is EditType.TEXT:
        assert case.text.expected or case.text.old


@pytest.mark.parametrize("kind", [one.name for one in DEFECTS])
def test_defects_are_valid_and_differ_by_strength_alone(kind: str) -> None:
    cases = [sample.case for sample in chain_of(kind)]
    for case in cases:
        assert case.edited.dtype == np.uint8
        assert case.edited.shape == case.original.shape
        assert np.array_equal(case.original, cases[0].original)
        assert (case.prompt, case.text) == (cases[0].prompt, cases[0].text)
    # None equals another: each strength is a picture of its own.
    assert len({case.edited.tobytes() for case in cases}) == len(cases)


@pytest.mark.parametrize(
    "kind", ["noise", "blur", "cast", "zoom", "shift", "grid_8", "jpeg", "background_repainted"]
)
def test_stronger_is_farther_from_the_original(kind: str) -> None:
    errors = [
        np.abs(case.edited.astype(float) - case.original).mean()
        for case in (sample.case for sample in chain_of(kind))
    ]
    assert errors == sorted(errors)


def test_an_exact_no_op_is_the_original() -> None:
    case = sample_of("no_op").case
    assert np.array_equal(case.original, case.edited)


def test_a_masked_edit_stays_near_its_mask() -> None:
    for sample in samples(Split.DEVELOPMENT, 0.4):
        if sample.kind == "recolour_masked":
            case = sample.case
            assert case.mask is not None
            outside = np.abs(case.edited.astype(int) - case.original).max(axis=-1)[~case.mask]
            assert np.mean(outside > 60) < 0.05


def test_what_is_in_the_wrong_place_leaves_the_mask_alone() -> None:
    case = sample_of("wrong_place").case
    assert case.mask is not None
    changed = np.abs(case.edited.astype(int) - case.original).mean(axis=-1)
    assert changed[case.mask].mean() < 6
    assert visible_share(case.original, case.edited) > 0.003


@pytest.mark.parametrize("seed", range(6))
def test_what_model_and_file_leave_is_hardly_visible(seed: int) -> None:
    pixels = photos(Split.DEVELOPMENT)[0].pixels
    residue = Residue.draw(np.random.default_rng(seed))
    result = residue.through_file(residue.through_model(pixels))
    error = result.astype(float) - pixels
    assert result.shape == pixels.shape
    assert 30 < 10 * np.log10(255**2 / np.mean(error**2)) < 40
    assert np.abs(error.mean(axis=(0, 1))).max() < 1.2


@given(language=st.sampled_from(Language), index=st.integers(0, 10**6), seed=st.integers(0, 10**6))
def test_misspelt_words_are_ever_farther_from_right(
    language: Language, index: int, seed: int
) -> None:
    vocabulary = VOCABULARIES[language]
    words = (*vocabulary.headings, *vocabulary.prices, *vocabulary.details)
    right = words[index % len(words)]
    wrong = misspelt(right, language, np.random.default_rng(seed))
    distances = [Levenshtein.distance(letters(right), letters(text)) for text in wrong]
    # Two that are swapped are one error, though two edits.
    assert 1 <= distances[0] <= 2
    assert distances[0] < distances[1] or distances[1] >= len(letters(right))
    assert distances[1] <= distances[2]
    assert distances[2] >= len(letters(right)) / 2
    assert letters(wrong[0]) != letters(right)


@pytest.mark.parametrize("language", Language)
def test_what_is_kept_does_not_hold_what_is_changed(language: Language) -> None:
    vocabulary = VOCABULARIES[language]
    for words in (vocabulary.headings, vocabulary.prices):
        assert all(3 <= len(word) <= 14 for word in words)
        for word in words:
            assert not any(letters(word) in letters(line) for line in vocabulary.details)
