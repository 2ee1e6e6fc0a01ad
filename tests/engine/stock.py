"""The stock diffusers pipeline on the same canvases: what the engine must equal."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import torch
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from PIL import Image

from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasTask
from serve_app.images.pixels import RGB


def run_stock(checkpoint: Checkpoint, task: CanvasTask) -> tuple[torch.Tensor, RGB]:
    """Run ``task`` through the stock pipeline's ``__call__``: its latents and its pixels."""
    steps: list[torch.Tensor] = []
    pixels = call_stock(checkpoint, task, "np", steps.append)
    return steps[-1], (pixels[0] * 255).round().astype(np.uint8)


def call_stock(
    checkpoint: Checkpoint,
    task: CanvasTask,
    output_type: Literal["latent", "np"],
    on_step: Callable[[torch.Tensor], object] | None = None,
) -> Any:
    """Call the stock pipeline once; ``on_step`` gets the latents after every denoising step.

    Its canvas areas are constants (and, in the first Edit, a literal), so they are replaced
    by the checkpoint's configured ones. For a single step its scheduler divides 0 by 0 when
    stretching to the terminal sigma, so that is left out. Nothing else of it is touched.
    """

    def step_end(_pipeline: Any, _step: int, _timestep: Any, tensors: Any) -> Any:
        if on_step is not None:
            on_step(tensors["latents"])
        return tensors

    images = [Image.fromarray(reference) for reference in task.references]
    with _areas(checkpoint), _schedule(checkpoint, task.num_inference_steps):
        return checkpoint.pipeline(
            image=images if checkpoint.plus else images[0],
            prompt=task.prompt,
            negative_prompt=task.negative_prompt if task.guided else None,
            true_cfg_scale=task.true_cfg_scale,
            num_inference_steps=task.num_inference_steps,
            height=task.height,
            width=task.width,
            generator=torch.Generator("cpu").manual_seed(task.seed),
            output_type=output_type,
            callback_on_step_end=None if on_step is None else step_end,
        ).images


def _schedule(checkpoint: Checkpoint, steps: int) -> Any:
    scheduler = checkpoint.pipeline.scheduler
    if steps == 1:
        scheduler = type(scheduler).from_config(scheduler.config, shift_terminal=None)
    return patch.object(checkpoint.pipeline, "scheduler", scheduler)


def _areas(checkpoint: Checkpoint) -> Any:
    if checkpoint.plus:
        return patch.multiple(
            pipeline_qwenimage_edit_plus,
            VAE_IMAGE_SIZE=checkpoint.vae_area,
            CONDITION_IMAGE_SIZE=checkpoint.condition_area,
        )

    def dimensions(_: int, ratio: float) -> tuple[int, int, None]:
        width = math.sqrt(checkpoint.vae_area * ratio)
        return round(width / 32) * 32, round(width / ratio / 32) * 32, None

    return patch.object(pipeline_qwenimage_edit, "calculate_dimensions", dimensions)
