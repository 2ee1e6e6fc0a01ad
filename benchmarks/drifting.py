"""An editor that changes next to nothing and shifts and zooms all of it, as the real ones do.

QwenLM/Qwen-Image #160 and #229 show what Qwen-Image-Edit does to pictures; the miniature in this
repository doesn't, and the checkpoint that does is not here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import cv2
import numpy as np

from serve_app.edits.job import EditedImage, EditJob, EditorEvent
from serve_app.edits.model import ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.engine.engine import Engine
from serve_app.errors import NoAnswer
from serve_app.images.pixels import RGB

ZOOM = 1.004
SHIFT = (1.2, -0.8)
"""Pixels to the right and down."""

_MARK = 1 / 12
"""Side of the square that each edit paints, as a share of the picture's shorter side."""


class DriftingEditor:
    """Paints a small square and moves everything by ``ZOOM`` and ``SHIFT``.

    Stands for the 20B model's editor; ``engine`` only lends its description.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.jobs: list[EditJob] = []

    async def describe(self) -> ModelDescription:
        return await self._engine.describe()

    async def check(self) -> None:
        await self._engine.check()

    async def edit(self, job: EditJob) -> EditedImage:
        self.jobs.append(job)
        return EditedImage(_moved(_marked(job.images[0], job.seed)), finite=True)

    async def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
        yield await self.edit(job)

    async def ask(self, _: Question) -> Reply:
        raise NoAnswer("This editor can't be asked.")


def _marked(pixels: RGB, seed: int) -> RGB:
    height, width, _ = pixels.shape
    side = max(4, round(_MARK * min(height, width)))
    random = np.random.default_rng(seed)
    top, left = random.integers(height // 4, height // 2), random.integers(width // 4, width // 2)
    marked = pixels.copy()
    marked[top : top + side, left : left + side] = random.integers(0, 255, 3)
    return marked


def _moved(pixels: RGB) -> RGB:
    height, width, _ = pixels.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0.0, ZOOM)
    matrix[:, 2] += SHIFT
    moved: RGB = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return moved
