"""Scenes drawn at random, and every change that can be asked for: what each turns a scene into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from serve_app.engine.miniature.drawing import (
    SIGN_ROW,
    STYLES,
    Background,
    Scene,
    Thing,
    cell_centre,
)
from serve_app.engine.miniature.vocabulary import (
    BACKGROUND_COLOURS,
    COLOURS,
    LETTERS,
    LONGEST_WORD,
    PATTERN_NAMES,
    SHAPE_NAMES,
    SHORTEST_WORD,
    WORDS,
)
from serve_app.engine.miniature.wording import Change, Subject


def draw_scene(random: Random, *, signed: bool) -> Scene:
    """A scene with one to four objects, and a sign if ``signed``."""
    cells = [cell for cell in range(9) if not (signed and cell // 3 == SIGN_ROW)]
    count = random.choices((1, 2, 3, 4), (4, 4, 2, 1))[0]
    # No two of one colour and shape, so that an instruction can tell them apart.
    looks = random.sample([(shape, colour) for shape in SHAPE_NAMES for colour in COLOURS], count)
    places = random.sample(cells, count)
    things = tuple(
        _placed(random, shape, colour, cell)
        for (shape, colour), cell in zip(looks, places, strict=True)
    )
    return Scene(_draw_background(random), things, _draw_word(random) if signed else None)


def _placed(random: Random, shape: str, colour: str, cell: int) -> Thing:
    x, y = cell_centre(cell)
    radius = random.uniform(0.1, 0.14)
    room = 0.02
    return Thing(
        shape, colour, x + random.uniform(-room, room), y + random.uniform(-room, room), radius
    )


def _draw_background(random: Random) -> Background:
    pattern = random.choices(list(PATTERN_NAMES), (4, 2, 1))[0]
    return Background(random.choice(list(BACKGROUND_COLOURS)), pattern)


def _draw_word(random: Random) -> str:
    if random.random() < 0.3:
        return random.choice(WORDS)
    return "".join(random.choices(LETTERS, k=random.randint(SHORTEST_WORD, LONGEST_WORD)))


def _subject(thing: Thing) -> Subject:
    return Subject(thing.shape, thing.colour)


def _free_cells(scene: Scene) -> list[int]:
    taken = {thing.cell for thing in scene.things}
    rows = 2 if scene.word is not None else 3
    return [cell for cell in range(3 * rows) if cell not in taken]


Made = tuple[Scene, Change] | None
"""The scene after a change, and the change; ``None`` where the scene doesn't allow it."""


def _recolour(random: Random, scene: Scene) -> Made:
    index = random.randrange(len(scene.things))
    thing = scene.things[index]
    colour = random.choice([name for name in COLOURS if name != thing.colour])
    change = Change("recolour", subject=_subject(thing), colour=colour)
    return scene.with_thing(index, colour=colour), change


def _remove(random: Random, scene: Scene) -> Made:
    index = random.randrange(len(scene.things))
    return scene.without_thing(index), Change("remove", subject=_subject(scene.things[index]))


def _add(random: Random, scene: Scene) -> Made:
    cells = _free_cells(scene)
    if len(scene.things) > 3:
        return None
    taken = {(thing.shape, thing.colour) for thing in scene.things}
    looks = [(shape, colour) for shape in SHAPE_NAMES for colour in COLOURS]
    shape, colour = random.choice([look for look in looks if look not in taken])
    cell = random.choice(cells)
    x, y = cell_centre(cell)
    thing = Thing(shape, colour, x, y, 0.125)
    change = Change("add", subject=_subject(thing), place=cell)
    return replace(scene, things=(*scene.things, thing)), change


def _background(random: Random, scene: Scene) -> Made:
    background = _draw_background(random)
    if background.colour == scene.background.colour:
        return None
    change = Change("background", background=background)
    return replace(scene, background=background), change


def _move(random: Random, scene: Scene) -> Made:
    index = random.randrange(len(scene.things))
    cell = random.choice(_free_cells(scene))
    x, y = cell_centre(cell)
    change = Change("move", subject=_subject(scene.things[index]), place=cell)
    return scene.with_thing(index, x=x, y=y), change


def _resize(random: Random, scene: Scene) -> Made:
    index = random.randrange(len(scene.things))
    thing = scene.things[index]
    bigger = thing.radius < 0.115
    radius = thing.radius * (1.4 if bigger else 1 / 1.4)
    change = Change("resize", subject=_subject(thing), bigger=bigger)
    return scene.with_thing(index, radius=radius), change


def _swap(random: Random, scene: Scene) -> Made:
    if len(scene.things) < 2:
        return None
    first, second = random.sample(range(len(scene.things)), 2)
    one, two = scene.things[first], scene.things[second]
    if one.colour == two.colour:
        return None
    target = scene.with_thing(first, colour=two.colour).with_thing(second, colour=one.colour)
    return target, Change("swap", subject=_subject(one), other=_subject(two))


def _style(random: Random, scene: Scene) -> Made:
    # Grey on grey would show nothing.
    grey = scene.background.colour == "grey"
    style = random.choice([name for name in STYLES if not (grey and name == "grey")])
    return replace(scene, style=style), Change("style", style=style)


def _word(random: Random, scene: Scene) -> Made:
    word = _draw_word(random)
    if word == scene.word:
        return None
    return replace(scene, word=word), Change("word", word=word)


def _word_and_background(random: Random, scene: Scene) -> Made:
    worded, backed = _word(random, scene), _background(random, scene)
    if worded is None or backed is None:
        return None
    (target, word), (_, background) = worded, backed
    return (
        replace(target, background=background.background or scene.background),
        replace(word, kind="word and background", background=background.background),
    )


def _beyond(_: Random, scene: Scene) -> Made:
    """An instruction that the miniature has no words for: it leaves the picture as it is."""
    return scene, Change("other")


CHANGES: dict[str, Callable[[Random, Scene], Made]] = {
    "recolour": _recolour,
    "remove": _remove,
    "add": _add,
    "background": _background,
    "move": _move,
    "resize": _resize,
    "swap": _swap,
    "style": _style,
    "word": _word,
    "word and background": _word_and_background,
    "other": _beyond,
}
