"""Training pairs: the target is exactly what the instruction asks for, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.edits.classification import classify
from serve_app.engine.miniature.changes import CHANGES
from serve_app.engine.miniature.drawing import (
    Background,
    Scene,
    Thing,
    board_box,
    cell_centre,
    draw,
)
from serve_app.engine.miniature.scenes import (
    Pair,
    changed_region,
    draw_families,
    draw_pair,
    is_held_out,
)
from serve_app.engine.miniature.vocabulary import (
    BACKGROUND_COLOURS,
    BACKGROUND_NAMES,
    COLOUR_NAMES,
    COLOURS,
    LANGUAGES,
    PATTERN_NAMES,
    PLACE_NAMES,
    SHAPE_NAMES,
)
from serve_app.engine.miniature.wording import Subject
from serve_app.images.pixels import RGB

SIDE = 64


def pairs(*kinds: str, part: str = "train") -> st.SearchStrategy[Pair]:
    return st.builds(
        lambda seed, kind: draw_pair(Random(seed), part, kind),  # type: ignore[arg-type]
        st.integers(0, 10**6),
        st.sampled_from(kinds or tuple(CHANGES)),
    )


def thing(scene: Scene, subject: Subject | None) -> Thing:
    assert subject is not None
    (found,) = (
        it for it in scene.things if (it.shape, it.colour) == (subject.shape, subject.colour)
    )
    return found


def disc(it: Thing, margin: float = 1.1) -> np.ndarray:
    """Pixels within an object's reach: the corners of a triangle lie a little beyond its radius."""
    centres = (np.arange(SIDE) + 0.5) / SIDE
    y, x = np.meshgrid(centres, centres, indexing="ij")
    return np.hypot(x - it.x, y - it.y) <= margin * it.radius + 2 / SIDE


def close(pixel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= 35)  # shading is 12 % at most


def at(picture: RGB, it: Thing) -> np.ndarray:
    return picture[int(it.y * SIDE), int(it.x * SIDE)]


@given(pair=pairs())
def test_equal_scenes_are_equal_pictures_and_others_differ(pair: Pair) -> None:
    source, target = pair.pictures(SIDE)
    assert source.shape == target.shape == (SIDE, SIDE, 3)
    assert source.dtype == np.uint8
    np.testing.assert_array_equal(source, draw(pair.source, SIDE))
    assert changed_region(source, target).any() == (pair.change.kind != "other")


@given(pair=pairs("recolour", "remove", "add", "move", "resize", "swap"))
def test_only_the_objects_that_are_named_change(pair: Pair) -> None:
    source, target = pair.pictures(SIDE)
    touched = np.zeros((SIDE, SIDE), dtype=bool)
    for it in set(pair.source.things) ^ set(pair.target.things):
        touched |= disc(it)
    np.testing.assert_array_equal(source[~touched], target[~touched])


@given(pair=pairs("recolour"))
def test_recoloured_objects_have_the_colour(pair: Pair) -> None:
    it = thing(pair.source, pair.change.subject)
    source, target = pair.pictures(SIDE)
    assert close(at(source, it), COLOURS[it.colour])
    assert close(at(target, it), COLOURS[pair.change.colour or ""])


@given(pair=pairs("remove"))
def test_where_something_was_removed_the_background_is_seen(pair: Pair) -> None:
    it = thing(pair.source, pair.change.subject)
    _, target = pair.pictures(SIDE)
    empty = draw(replace(pair.source, things=()), SIDE)
    there = disc(it)
    for other in pair.target.things:
        there &= ~disc(other)
    np.testing.assert_array_equal(target[there], empty[there])
    assert it not in pair.target.things


@given(pair=pairs("add", "move"))
def test_things_stand_at_the_place_that_is_named(pair: Pair) -> None:
    it = thing(pair.target, pair.change.subject)
    assert it.cell == pair.change.place
    _, target = pair.pictures(SIDE)
    x, y = cell_centre(it.cell)
    assert close(target[int(y * SIDE), int(x * SIDE)], COLOURS[it.colour])


@given(pair=pairs("resize"))
def test_sizes_change_by_four_tenths(pair: Pair) -> None:
    before, after = (thing(scene, pair.change.subject) for scene in (pair.source, pair.target))
    assert (after.x, after.y) == (before.x, before.y)
    ratio = after.radius / before.radius
    assert ratio == pytest.approx(1.4 if pair.change.bigger else 1 / 1.4)


@given(pair=pairs("background"))
def test_a_new_background_leaves_the_objects(pair: Pair) -> None:
    assert pair.target.things == pair.source.things
    assert pair.target.background == pair.change.background
    source, target = pair.pictures(SIDE)
    for it in pair.source.things:
        np.testing.assert_array_equal(at(source, it), at(target, it))


@given(pair=pairs("word"))
def test_a_new_word_changes_the_board_alone(pair: Pair) -> None:
    source, target = pair.pictures(SIDE)
    left, top, right, bottom = board_box(SIDE)
    outside = np.ones((SIDE, SIDE), dtype=bool)
    outside[top:bottom, left:right] = False
    np.testing.assert_array_equal(source[outside], target[outside])


STYLES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "grey": lambda x: np.repeat((x @ [0.299, 0.587, 0.114])[..., None], 3, axis=2),
    "inverted": lambda x: 255 - x,
}


@given(pair=pairs("style"))
def test_styles_are_functions_of_the_picture(pair: Pair) -> None:
    source, target = pair.pictures(SIDE)
    style = pair.change.style or ""
    if style in STYLES:
        expected = STYLES[style](source.astype(float))
        assert np.abs(expected - target).max() <= 1.5  # drawn before rounding
    if style == "night":
        assert target.mean() < 0.6 * source.mean()
    if style == "outline" and pair.source.background.pattern != "stripes":
        assert np.median(target) >= 245


@given(pair=pairs("swap"))
def test_a_swap_exchanges_two_colours(pair: Pair) -> None:
    one, two = (thing(pair.source, subject) for subject in (pair.change.subject, pair.change.other))
    _, target = pair.pictures(SIDE)
    assert close(at(target, one), COLOURS[two.colour])
    assert close(at(target, two), COLOURS[one.colour])


@given(pair=pairs())
def test_every_object_has_a_cell_of_its_own_and_stays_within_reach_of_it(pair: Pair) -> None:
    for scene in (pair.source, pair.target):
        assert len({it.cell for it in scene.things}) == len(scene.things)
        for it in scene.things:
            assert np.abs(np.subtract((it.x, it.y), cell_centre(it.cell))).max() <= 0.02 + 1e-9
            assert it.radius < 1 / 6  # half a cell
        if scene.word is not None:
            assert all(it.cell < 6 for it in scene.things)
            assert 2 <= len(scene.word) <= 5


@given(pair=pairs())
def test_training_never_shows_what_is_held_out(pair: Pair) -> None:
    assert not any(is_held_out(it) for it in (*pair.source.things, *pair.target.things))


@given(pair=pairs(part="held_out"))
def test_evaluation_always_shows_something_held_out(pair: Pair) -> None:
    assert any(is_held_out(it) for it in (*pair.source.things, *pair.target.things))


def test_some_combinations_are_held_out_and_most_are_not() -> None:
    every = [
        Thing(shape, colour, *cell_centre(cell), 0.1)
        for shape in SHAPE_NAMES
        for colour in COLOURS
        for cell in range(9)
    ]
    assert 0.05 < np.mean([is_held_out(it) for it in every]) < 0.15
    seen = [it for it in every if not is_held_out(it)]
    # Every colour, shape and place alone is known from training.
    assert {it.colour for it in seen} == set(COLOURS)
    assert {it.shape for it in seen} == set(SHAPE_NAMES)
    assert {it.cell for it in seen} == set(range(9))


def test_equal_seeds_give_equal_families_without_anything_held_out() -> None:
    first, again, other = (draw_families(seed, 4) for seed in (3, 3, 4))
    families = [next(first) for _ in range(50)]
    assert families == [next(again) for _ in range(50)]
    assert families != [next(other) for _ in range(50)]
    for family in families:
        assert len(family.changes) == len(family.targets) == 4
        for scene in (family.source, *family.targets):
            assert not any(is_held_out(it) for it in scene.things)


@given(pair=pairs(*(kind for kind in CHANGES if kind != "other")))
def test_auto_plans_each_instruction_as_the_pair_says(pair: Pair) -> None:
    assert classify(pair.instruction).edit_type == pair.edit_type


def test_all_four_edit_types_occur() -> None:
    planned = {draw_pair(Random(1), "train", kind).edit_type.value for kind in CHANGES}
    assert planned == {"appearance", "semantic", "text", "hybrid"}


def test_every_colour_can_be_told_from_every_other() -> None:
    for table in (COLOURS, BACKGROUND_COLOURS):
        for name, colour in table.items():
            for other, than in table.items():
                if name != other:
                    assert np.abs(np.subtract(colour, than)).max() > 0.12 * 255, (name, other)


def test_everything_has_a_name_of_its_own_in_each_language() -> None:
    for names in (COLOUR_NAMES, SHAPE_NAMES, BACKGROUND_NAMES, PATTERN_NAMES):
        for language in LANGUAGES:
            assert len({name.in_(language) for name in names.values()}) == len(names)
    for language in LANGUAGES:
        assert len({name.in_(language) for name in PLACE_NAMES}) == 9


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_a_scene_looks_alike_at_every_size(side: int) -> None:
    scene = Scene(Background("mint", "gradient"), (Thing("star", "red", 0.5, 0.4, 0.15),))
    small, large = draw(scene, side), draw(scene, 2 * side)
    halved = large.reshape(side, 2, side, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - small).mean() < 2
