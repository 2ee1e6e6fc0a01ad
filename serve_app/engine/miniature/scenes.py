"""Draws training pairs: a picture, an instruction, what the picture is after it.

The target is drawn, not edited, so that it is exact: a scene is data, a change turns it into
another scene, and both are drawn. Some combinations of colour, shape and place are held out:
they never occur in training and always do in evaluation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np

from serve_app.edits.request import EditType
from serve_app.engine.miniature.changes import CHANGES, draw_scene
from serve_app.engine.miniature.drawing import Mask, Scene, Thing, draw
from serve_app.engine.miniature.vocabulary import LANGUAGES, Language
from serve_app.engine.miniature.wording import Change, word_instruction
from serve_app.images.pixels import RGB

Part = Literal["train", "held_out"]

VISIBLE = 0.12
"""A pixel counts as changed if a channel differs by more than this share of full scale."""

_HELD_OUT_OF = 12


@dataclass(frozen=True, slots=True)
class Pair:
    """One example: what there is, what is asked for, what there should be then."""

    source: Scene
    change: Change
    target: Scene
    language: Language
    instruction: str

    @property
    def edit_type(self) -> EditType:
        """The type an edit of this kind is planned as; what has no kind is a hybrid."""
        return EDIT_TYPES[self.change.kind]

    def pictures(self, side: int) -> tuple[RGB, RGB]:
        """Source and target, each (side, side, 3) uint8."""
        return draw(self.source, side), draw(self.target, side)


EDIT_TYPES: dict[str, EditType] = {
    "recolour": EditType.APPEARANCE,
    "remove": EditType.APPEARANCE,
    "add": EditType.APPEARANCE,
    "background": EditType.APPEARANCE,
    "move": EditType.APPEARANCE,
    "resize": EditType.APPEARANCE,
    "swap": EditType.APPEARANCE,
    "style": EditType.SEMANTIC,
    "word": EditType.TEXT,
    "word and background": EditType.HYBRID,
    "other": EditType.HYBRID,
}


def changed_region(before: RGB, after: RGB) -> Mask:
    """Where two pictures visibly differ: (height, width), by ``VISIBLE``."""
    difference = np.abs(before.astype(np.int16) - after.astype(np.int16)).max(axis=2)
    return np.asarray(difference > VISIBLE * 255)


def is_held_out(thing: Thing) -> bool:
    """Whether an object's colour, shape and place together are kept for evaluation."""
    name = f"{thing.colour}/{thing.shape}/{thing.cell}"
    return hashlib.sha256(name.encode()).digest()[0] % _HELD_OUT_OF == 0


def draw_pair(random: Random, part: Part, kind: str, language: Language | None = None) -> Pair:
    """One pair of the given kind, worded in ``language`` or in one drawn at random.

    A pair that is held out has a held-out combination among the objects of source or target;
    one for training has none.
    """
    while True:
        scene = draw_scene(random, signed="word" in kind or random.random() < 0.15)
        made = CHANGES[kind](random, scene)
        if made is None:
            continue
        target, change = made
        held_out = any(is_held_out(thing) for thing in (*scene.things, *target.things))
        if held_out == (part == "held_out"):
            break
    chosen = random.choice(LANGUAGES) if language is None else language
    text = word_instruction(random, change, chosen, held_out=part == "held_out")
    return Pair(scene, change, target, chosen, text)


_WEIGHTS = {
    "recolour": 2.2,
    "remove": 1.3,
    "add": 2.2,
    "background": 1.7,
    "move": 1.8,
    "resize": 1.3,
    "swap": 1.5,
    "style": 1.0,
    "other": 0.35,
}
_UNSIGNED = (tuple(_WEIGHTS), tuple(_WEIGHTS.values()))
_SIGNED = ((*_WEIGHTS, "word", "word and background"), (*_WEIGHTS.values(), 9.0, 3.0))


@dataclass(frozen=True, slots=True)
class Family:
    """A scene and several changes of it, each with what it leads to."""

    source: Scene
    changes: tuple[Change, ...]
    targets: tuple[Scene, ...]

    def pictures(self, side: int) -> list[RGB]:
        """The source, then the targets, each (side, side, 3) uint8."""
        return [draw(scene, side) for scene in (self.source, *self.targets)]


def draw_families(seed: int, changes: int) -> Iterator[Family]:
    """Families for training without end, none with a held-out combination.

    Pairs that share their source cost one picture less to encode. Kinds come as often as they
    are hard to learn.
    """
    random = Random(seed)
    while True:
        signed = random.random() < 0.25
        scene = draw_scene(random, signed=signed)
        if any(is_held_out(thing) for thing in scene.things):
            continue
        kinds = random.choices(*_SIGNED if signed else _UNSIGNED, k=8 * changes)
        made = (CHANGES[kind](random, scene) for kind in kinds)
        usable = [
            (target, change)
            for target, change in filter(None, made)
            if not any(is_held_out(thing) for thing in target.things)
        ][:changes]
        if len(usable) == changes:
            yield Family(
                scene,
                tuple(change for _, change in usable),
                tuple(target for target, _ in usable),
            )
