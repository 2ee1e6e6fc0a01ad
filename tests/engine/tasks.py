"""Small edits for the engine's tests: pictures, prompts and tasks on the canvas."""

from __future__ import annotations

from functools import cache

import numpy as np

from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasTask
from serve_app.images.geometry import resize, scaled_to_area
from serve_app.images.pixels import RGB

CONDITION_AREA = 64 * 64

PROMPTS = (
    "x",
    "change the sign to OPEN",
    "把招牌上的字改成“营业中”",
    "하늘을 노을로 바꾸고 나무를 추가해 주세요",
    "make it a watercolor of the harbour at dusk, " * 12,
)


@cache
def photo(number: int, width: int = 128, height: int = 128) -> RGB:
    rng = np.random.default_rng(number)
    small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return resize(small, (width, height))


def task(
    checkpoint: Checkpoint,
    references: tuple[RGB, ...],
    prompt: str = PROMPTS[1],
    *,
    steps: int = 4,
    scale: float = 4.0,
    seed: int = 7,
) -> CanvasTask:
    height, width, _ = references[0].shape
    return CanvasTask(
        references=references,
        conditions=tuple(
            resize(image, scaled_to_area(image.shape[1], image.shape[0], CONDITION_AREA))
            if checkpoint.plus
            else image
            for image in references
        ),
        width=width,
        height=height,
        prompt=prompt,
        negative_prompt=" ",
        true_cfg_scale=scale,
        num_inference_steps=steps,
        seed=seed,
    )
