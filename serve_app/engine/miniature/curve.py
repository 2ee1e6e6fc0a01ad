"""The learning curves of a training as a picture."""

from __future__ import annotations

import json
from math import log
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

STAGES = ("autoencoder", "text", "transformer", "few_step")
_WIDTH, _HEIGHT, _MARGIN = 480, 300, 48
_INK, _PALE, _LINE = (40, 40, 48), (205, 205, 212), (45, 95, 215)


def draw_curve(folder: Path, file: Path) -> None:
    """Draw the loss of every stage that has a log in ``folder`` over minutes, into ``file``.

    The loss is on a logarithmic axis. Plain Pillow: a server has no plotting library.
    """
    logs = {stage: _losses(folder / f"{stage}.jsonl") for stage in STAGES}
    panels = [_panel(stage, points) for stage, points in logs.items() if len(points) > 1]
    if not panels:
        return
    picture = Image.new("RGB", (_WIDTH * len(panels), _HEIGHT), "white")
    for index, panel in enumerate(panels):
        picture.paste(panel, (index * _WIDTH, 0))
    picture.save(file)


def _losses(file: Path) -> list[tuple[float, float]]:
    """Minutes and losses; none without the file."""
    if not file.is_file():
        return []
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [(line["seconds"] / 60, line["loss"]) for line in lines]


def _panel(stage: str, points: list[tuple[float, float]]) -> Image.Image:
    panel = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(panel)
    font = ImageFont.load_default(13)
    last = points[-1][0]
    lowest, highest = (pick(loss for _, loss in points) for pick in (min, max))

    def at(minutes: float, loss: float) -> tuple[float, float]:
        across = _MARGIN + (_WIDTH - 2 * _MARGIN) * minutes / last
        up = _log_share(loss, lowest, highest)
        return across, _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * up

    for loss in (lowest, (lowest * highest) ** 0.5, highest):
        _, y = at(0, loss)
        draw.line([(_MARGIN, y), (_WIDTH - _MARGIN, y)], fill=_PALE)
        draw.text((_MARGIN - 4, y), f"{loss:.3g}", font=font, fill=_INK, anchor="rm")
    draw.line([at(*point) for point in points], fill=_LINE, width=2)
    draw.text((_WIDTH / 2, 18), f"{stage}: loss", font=font, fill=_INK, anchor="mm")
    draw.text((_WIDTH / 2, _HEIGHT - 18), f"{last:.1f} minutes", font=font, fill=_INK, anchor="mm")
    return panel


def _log_share(value: float, lowest: float, highest: float) -> float:
    return log(value / lowest) / log(highest / lowest) if highest > lowest else 0.5
