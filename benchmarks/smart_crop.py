"""Whether smart crops keep what matters: `python -m benchmarks.smart_crop`.

Generated scenes (``benchmarks.scenes``) hold one thing, of which the box is known, anywhere
that every crop can reach. The same scenes are cropped in the centre beside it. A crop counts if
it holds the box of the thing whole, to the pixel.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.report import RESULTS, Figure, Target, publish, wide_console
from benchmarks.scenes import Scene, scenes
from serve_app.images.contact_sheet import Cell, contact_sheet
from serve_app.images.framing import Fit, Frame, crop_box, framed
from serve_app.images.masks import Box
from serve_app.images.pixels import RGB

SCENES = 400
FRAMED = 4
"""Every fourth scene is also framed as ``auto`` chooses."""
SHOWN = 10
"""Scenes in the picture."""
TARGETS = {
    "instagram_story": (1080, 1920),
    "instagram_post": (1080, 1080),
    "twitter_card": (1200, 630),
    "blog_header": (1200, 600),
    "blog_thumbnail": (600, 400),
}
"""The built-in targets of brand sets, pixels."""

SMART, CENTRE = "smart", "centre"


def main() -> None:
    console = wide_console()
    console.print(f"{SCENES} scenes, {len(TARGETS)} targets …")
    kept: Counter[tuple[str, str, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    ways: Counter[Fit] = Counter()
    framed_whole = 0
    seconds: list[float] = []
    cells: list[Cell] = []
    for number, scene in enumerate(scenes(SCENES, narrowest)):
        for target, size in TARGETS.items():
            begun = time.perf_counter()
            smart = crop_box(scene.pixels, *size)
            seconds.append(time.perf_counter() - begun)
            asked[target, scene.background] += 1
            kept[SMART, target, scene.background] += holds(smart, scene.box)
            kept[CENTRE, target, scene.background] += holds(
                centre_box(scene.pixels, *size), scene.box
            )
            if number % FRAMED == 0:
                made = framed(scene.pixels, Frame(*size, Fit.AUTO))
                ways[made.how] += 1
                framed_whole += made.how is Fit.PAD or holds(made.box, scene.box)
            if number % (SCENES // SHOWN) == number // (SCENES // SHOWN) % 5:
                cells.append(_cell(scene, target, smart))
    total = sum(asked.values())
    shares = {
        way: sum(count for key, count in kept.items() if key[0] == way) / total
        for way in (SMART, CENTRE)
    }
    figures = [
        Figure(
            "smart crop: the thing is kept whole",
            shares[SMART],
            "of crops",
            Target(0.95, at_most=False),
            f"centre crop {shares[CENTRE]:.3f}",
        ),
        Figure(
            "crop or padding as `auto` chooses: the thing is kept whole",
            framed_whole / ways.total(),
            "of frames",
            Target(0.95, at_most=False),
            f"{ways[Fit.PAD]} of {ways.total()} were padded, though a crop could hold it",
        ),
        Figure("time of one crop, median", sorted(seconds)[total // 2] * 1e3, "ms"),
    ]
    details: dict[str, Any] = {
        "scenes": SCENES,
        "kept_whole_by_target": {
            target: {way: _share(kept, asked, way, target=target) for way in (SMART, CENTRE)}
            for target in TARGETS
        },
        "kept_whole_by_background": {
            background: {
                way: _share(kept, asked, way, background=background) for way in (SMART, CENTRE)
            }
            for background in sorted({background for _, background in asked})
        },
    }
    note = "Green: the thing. White: the crop."
    page = contact_sheet("Smart crops of generated scenes", cells, len(TARGETS), note)
    Image.fromarray(page).save(RESULTS / "smart_crop.png", optimize=True)
    publish(console, "smart_crop", figures, details)


def narrowest(width: int, height: int) -> tuple[float, float]:
    """The least share of either axis that a target's crop of (width, height) keeps."""
    aspects = [across / down for across, down in TARGETS.values()]
    return (
        min(min(1.0, height * aspect / width) for aspect in aspects),
        min(min(1.0, width / aspect / height) for aspect in aspects),
    )


def centre_box(pixels: RGB, width: int, height: int) -> Box:
    """The baseline: the largest box of the aspect, in the centre."""
    tall, wide, _ = pixels.shape
    across = min(wide, max(1, round(tall * width / height)))
    down = min(tall, max(1, round(wide * height / width)))
    left, top = (wide - across) // 2, (tall - down) // 2
    return Box(left, top, left + across, top + down)


def holds(outer: Box, inner: Box) -> bool:
    """Whether all pixels of ``inner`` are in ``outer``."""
    return (
        outer.left <= inner.left
        and outer.top <= inner.top
        and inner.right <= outer.right
        and inner.bottom <= outer.bottom
    )


def _share(
    kept: Counter[tuple[str, str, str]],
    asked: Counter[tuple[str, str]],
    way: str,
    *,
    target: str | None = None,
    background: str | None = None,
) -> float:
    keys = [key for key in asked if target in (None, key[0]) and background in (None, key[1])]
    return sum(kept[way, *key] for key in keys) / sum(asked[key] for key in keys)


def _cell(scene: Scene, target: str, crop: Box) -> Cell:
    """The scene with the thing and the crop outlined."""
    image = Image.fromarray(scene.pixels // 2)
    image.paste(Image.fromarray(scene.pixels[crop.area]), crop[:2])
    draw = ImageDraw.Draw(image)
    for box, colour in ((crop, "white"), (scene.box, (60, 220, 90))):
        draw.rectangle((box.left, box.top, box.right - 1, box.bottom - 1), None, colour, 3)
    whole = holds(crop, scene.box)
    words = f"{scene.background}; {'kept whole' if whole else 'cut'}"
    return Cell(np.asarray(image), target, (words,), "good" if whole else "bad")


if __name__ == "__main__":
    main()
