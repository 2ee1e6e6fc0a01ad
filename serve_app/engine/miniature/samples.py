"""Draws the sample scenes: `python -m serve_app.engine.miniature.samples FOLDER`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image

from serve_app.engine.miniature.drawing import Background, Scene, Thing, cell_centre, draw
from serve_app.engine.miniature.scenes import Pair
from serve_app.engine.miniature.vocabulary import Language
from serve_app.engine.miniature.wording import Change

SIDE = 64


def _thing(colour: str, shape: str, cell: int, radius: float = 0.125) -> Thing:
    x, y = cell_centre(cell)
    return Thing(shape, colour, x, y, radius)


def _scene(
    background: str, *things: Thing, pattern: str = "plain", word: str | None = None
) -> Scene:
    return Scene(Background(background, pattern), things, word)


def _pair(
    kind: str,
    instruction: str,
    source: Scene,
    edit: Callable[[Scene], Scene],
    language: Language = "en",
    word: str | None = None,
) -> Pair:
    return Pair(source, Change(kind, word=word), edit(source), language, instruction)


def _with_background(colour: str) -> Callable[[Scene], Scene]:
    return lambda scene: replace(scene, background=Background(colour, "plain"))


def _moved(scene: Scene, index: int, cell: int) -> Scene:
    x, y = cell_centre(cell)
    return scene.with_thing(index, x=x, y=y)


SAMPLES: dict[str, Pair] = {
    "balloon": _pair(
        "recolour",
        "make the red circle yellow",
        _scene("sky blue", _thing("red", "circle", 1, 0.135), _thing("green", "triangle", 6)),
        lambda scene: scene.with_thing(0, colour="yellow"),
    ),
    "shop": _pair(
        "word",
        "change the sign to 'OPEN'",
        _scene("beige", _thing("blue", "square", 3), _thing("orange", "star", 2), word="SHOP"),
        lambda scene: replace(scene, word="OPEN"),
        word="OPEN",
    ),
    "meadow": _pair(
        "style",
        "make it night",
        _scene("mint", _thing("yellow", "circle", 2), _thing("purple", "heart", 7)),
        lambda scene: replace(scene, style="night"),
    ),
    "toys": _pair(
        "remove",
        "remove the green square",
        _scene("pink", _thing("blue", "star", 0), _thing("green", "square", 8)),
        lambda scene: scene.without_thing(1),
    ),
    "corner": _pair(
        "add",
        "在右上角添加一个红色星形",
        _scene("lavender", _thing("black", "diamond", 4)),
        lambda scene: replace(scene, things=(*scene.things, _thing("red", "star", 2))),
        "zh",
    ),
    "wall": _pair(
        "background",
        "배경을 단색 하늘색으로 바꿔줘",
        _scene("grey", _thing("orange", "heart", 3), _thing("white", "circle", 5)),
        _with_background("sky blue"),
        "ko",
    ),
    "kite": _pair(
        "move",
        "move the red diamond to the top right",
        _scene("sky blue", _thing("red", "diamond", 6), pattern="gradient"),
        lambda scene: _moved(scene, 0, 2),
    ),
    "seed": _pair(
        "resize",
        "make the green heart bigger",
        _scene("beige", _thing("green", "heart", 4, 0.105)),
        lambda scene: scene.with_thing(0, radius=1.4 * 0.105),
    ),
    "pair": _pair(
        "swap",
        "swap the colours of the blue circle and the yellow square",
        _scene("pink", _thing("blue", "circle", 3), _thing("yellow", "square", 5)),
        lambda scene: scene.with_thing(0, colour="yellow").with_thing(1, colour="blue"),
    ),
    "sketch": _pair(
        "style",
        "turn the picture into a pencil drawing",
        _scene("mint", _thing("red", "star", 0), _thing("blue", "heart", 4)),
        lambda scene: replace(scene, style="outline"),
    ),
    "cafe": _pair(
        "word",
        '把牌子上的字改成"CAFE"',
        _scene("lavender", _thing("white", "heart", 1), word="TEA"),
        lambda scene: replace(scene, word="CAFE"),
        "zh",
        word="CAFE",
    ),
    "sale": _pair(
        "word and background",
        "change the sign to 'FREE' and the background to plain beige",
        _scene("grey", _thing("purple", "star", 3), word="SALE"),
        lambda scene: replace(_with_background("beige")(scene), word="FREE"),
        word="FREE",
    ),
}
"""By name: a scene, what is asked for, and what it should become."""


def write_samples(
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.", file_okay=False)],
) -> None:
    """Write every scene as a PNG; `scenes.json` and `edits.csv` have the instructions."""
    folder.mkdir(parents=True, exist_ok=True)
    listed: list[dict[str, Any]] = []
    for name, pair in SAMPLES.items():
        file = f"{name}.png"
        Image.fromarray(draw(pair.source, SIDE)).save(folder / file, optimize=True)
        listed.append({"file": file, "prompt": pair.instruction, "edit_type": pair.edit_type.value})
    content = json.dumps(listed, indent=2, ensure_ascii=False)
    (folder / "scenes.json").write_text(content + "\n")
    with (folder / "edits.csv").open("w", newline="", encoding="utf-8") as manifest:
        rows = csv.writer(manifest, lineterminator="\n")
        rows.writerow(("id", "image", "prompt", "edit_type"))
        for name, entry in zip(SAMPLES, listed, strict=True):
            rows.writerow((name, entry["file"], entry["prompt"], entry["edit_type"]))


if __name__ == "__main__":
    typer.run(write_samples)
