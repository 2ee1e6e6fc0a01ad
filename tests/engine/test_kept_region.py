"""The kept region, against the stock inpainting pipeline and against blending by hand."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, QwenImageEditInpaintPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_inpaint as inpaint
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serve_app.engine.kept_region import KeptRegion
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasTask, Ticket
from serve_app.images.masks import Box, Editable, from_box
from serve_app.images.pixels import RGB
from tests.engine.loops import in_turns
from tests.engine.stock import call_stock
from tests.engine.tasks import PROMPTS, photo, task

CHANNELS = 16
CELL = 8


def packed(latents: torch.Tensor) -> torch.Tensor:
    """(channels, height, width) latents as (1, tokens, 4 * channels), token by token."""
    _, height, width = latents.shape
    tokens = [
        latents[:, y : y + 2, x : x + 2].reshape(-1)
        for y in range(0, height, 2)
        for x in range(0, width, 2)
    ]
    return torch.stack(tokens)[None]


def free_latents(editable: Editable) -> torch.Tensor:
    """By hand: a latent is free if any of its 8x8 pixels is, in all channels."""
    height, width = (side // CELL for side in editable.shape)
    free = torch.zeros((CHANNELS, height, width), dtype=torch.bool)
    for y, x in zip(*editable.nonzero(), strict=True):
        free[:, y // CELL, x // CELL] = True
    return packed(free)


def original_latents(checkpoint: Checkpoint, pixels: RGB) -> torch.Tensor:
    """What the miniature's VAE, whose latents have mean 0 and deviation 1, makes of it."""
    scaled = torch.from_numpy(pixels / 127.5 - 1.0).float().permute(2, 0, 1)
    with torch.no_grad():
        encoded = checkpoint.pipeline.vae.encode(scaled[None, :, None]).latent_dist.mode()
    return packed(encoded[0, :, 0])


def noise_of(job: CanvasTask) -> torch.Tensor:
    shape = (CHANNELS, job.height // CELL, job.width // CELL)
    return packed(torch.randn(shape, generator=torch.Generator("cpu").manual_seed(job.seed)))


def masked(checkpoint: Checkpoint, *photos: RGB, editable: Editable, **settings: Any) -> CanvasTask:
    return replace(task(checkpoint, photos, **settings), mask=editable)


def run(checkpoint: Checkpoint, *jobs: CanvasTask) -> list[torch.Tensor]:
    """The last latents of requests that arrive together."""
    loop = in_turns(checkpoint, 4)
    try:
        tickets = [Ticket(job, None) for job in jobs]
        for ticket in tickets:
            loop.submit(ticket)
        return [ticket.future.result(timeout=120).latents for ticket in tickets]
    finally:
        loop.close()


def random_mask(width: int, height: int, seed: int, cell: int = CELL) -> Editable:
    """Cells of ``cell`` pixels, of which a third is editable."""
    cells = np.random.default_rng(seed).random((height // cell, width // cell)) < 1 / 3
    return cells.repeat(cell, axis=0).repeat(cell, axis=1)


# The layout of a mask on the latents


@settings(max_examples=50, deadline=None)
@given(
    height=st.integers(1, 4),
    width=st.integers(1, 4),
    density=st.sampled_from([0.001, 0.01, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_latent_is_free_if_any_of_its_pixels_is(
    plus: Checkpoint, height: int, width: int, density: float, seed: int
) -> None:
    editable = np.random.default_rng(seed).random((32 * height, 32 * width)) < density
    anything = torch.zeros((1, 4 * height * width, 4 * CHANNELS))
    region = KeptRegion.of(plus.pipeline, editable, anything, anything)
    assert torch.equal(region.editable, free_latents(editable))


# Holding


def test_at_the_ends_of_the_schedule_it_is_exactly_the_original_and_exactly_the_noise() -> None:
    latents, original, noise = torch.randn((3, 1, 12, 64)).unbind()
    editable = torch.rand((1, 12, 64)) < 0.5
    region = KeptRegion(editable, original, noise)
    for sigma, outside in ((0.0, original), (1.0, noise)):
        held = region.hold(latents, torch.tensor(sigma))
        assert torch.equal(held[editable], latents[editable])
        assert torch.equal(held[~editable], outside[~editable])


@pytest.mark.parametrize("sigma", [0.02, 0.3, 0.73, 0.98])
def test_in_bfloat16_it_is_rounded_once(sigma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    original, noise = torch.randn((2, 1, 500, 64), generator=generator).bfloat16().unbind()
    region = KeptRegion(torch.zeros((1, 500, 64), dtype=torch.bool), original, noise)
    held = region.hold(torch.zeros_like(original), torch.tensor(sigma))
    assert held.dtype == torch.bfloat16
    exact = (1 - sigma) * original.double() + sigma * noise.double()
    # Half a unit of bfloat16's eight bits.
    torch.testing.assert_close(held.double(), exact, rtol=1.01 * 2**-8, atol=1e-6)


# Whole edits


@pytest.mark.parametrize("steps", [2, 5])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_it_equals_the_stock_inpainting_pipeline(
    miniatures: dict[str, Checkpoint], steps: int, scale: float
) -> None:
    """At full strength, with a mask on the grid of tokens.

    Two things are made equal here. The stock pipeline *samples* the VAE's posterior, which
    also moves the generator on before the noise is drawn; the editing pipelines, and so the
    engine, take its mode. And its canvas is a constant. What it does in every step is its own:
    its mask is sampled at one pixel per latent, which on the grid is "any pixel", and its
    noise levels come from its scheduler.
    """
    checkpoint = miniatures["edit"]
    editable = random_mask(160, 96, seed=steps, cell=16)
    job = masked(checkpoint, photo(3, 160, 96), editable=editable, steps=steps, scale=scale)
    stock = QwenImageEditInpaintPipeline(**checkpoint.pipeline.components)
    stock.prompt_template_encode_start_idx = checkpoint.pipeline.prompt_template_encode_start_idx
    stock.set_progress_bar_config(disable=True)
    with _deterministic_encoder(), _canvas(job):
        expected = stock(
            image=Image.fromarray(job.references[0]),
            mask_image=Image.fromarray(np.uint8(255) * editable),
            prompt=job.prompt,
            negative_prompt=job.negative_prompt if job.guided else None,
            true_cfg_scale=scale,
            strength=1.0,
            num_inference_steps=steps,
            generator=torch.Generator("cpu").manual_seed(job.seed),
            output_type="latent",
        ).images
    (latents,) = run(checkpoint, job)
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=0)


@contextmanager
def _deterministic_encoder() -> Iterator[None]:
    sampling = inpaint.retrieve_latents

    def mode(encoded: Any, generator: Any = None, sample_mode: str = "argmax") -> Any:
        return sampling(encoded, generator, "argmax")

    with patch.object(inpaint, "retrieve_latents", mode):
        yield


def _canvas(job: CanvasTask) -> Any:
    return patch.object(inpaint, "calculate_dimensions", lambda *_: (job.width, job.height, None))


class Blending(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
    """The stock scheduler that puts the original back after each step, at its noise level."""

    free: torch.Tensor
    original: torch.Tensor
    noise: torch.Tensor

    def step(self, *arguments: Any, **options: Any) -> tuple[torch.Tensor]:
        latents = super().step(*arguments, **options)[0]
        sigma = float(self.sigmas[self.step_index])
        outside = (1 - sigma) * self.original + sigma * self.noise
        return (torch.where(self.free, latents, outside),)


def blended_by_hand(checkpoint: Checkpoint, job: CanvasTask) -> torch.Tensor:
    """The stock editing pipeline of either family, blending in its scheduler."""
    assert job.mask is not None
    scheduler = Blending.from_config(checkpoint.pipeline.scheduler.config)
    scheduler.free = free_latents(job.mask)
    scheduler.original = original_latents(checkpoint, job.references[0])
    scheduler.noise = noise_of(job)
    pipeline = copy.copy(checkpoint.pipeline)
    pipeline.scheduler = scheduler
    latents: torch.Tensor = call_stock(replace(checkpoint, pipeline=pipeline), job, "latent")
    return latents


@pytest.mark.parametrize("kind", ["edit", "plus", "plus-2511"])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_it_equals_the_stock_pipeline_with_blending_by_hand(
    miniatures: dict[str, Checkpoint], kind: str, scale: float
) -> None:
    checkpoint = miniatures[kind]
    speckled = np.random.default_rng(5).random((128, 128)) < 0.005  # on no grid
    job = masked(checkpoint, photo(3), editable=speckled, scale=scale)
    (latents,) = run(checkpoint, job)
    torch.testing.assert_close(latents, blended_by_hand(checkpoint, job), atol=1e-5, rtol=0)


def test_of_several_images_the_first_is_kept(plus: Checkpoint) -> None:
    """Two are of one shape: the other one's latents would fit as well."""
    editable = random_mask(128, 128, seed=1)
    job = masked(plus, photo(3), photo(4), photo(5, 96, 160), editable=editable)
    (latents,) = run(plus, job)
    torch.testing.assert_close(latents, blended_by_hand(plus, job), atol=1e-5, rtol=0)
    kept = ~free_latents(editable)
    expected = original_latents(plus, photo(3))
    torch.testing.assert_close(latents[kept], expected[kept], atol=1e-5, rtol=0)


def test_requests_with_and_without_a_mask_share_steps_and_end_as_alone(plus: Checkpoint) -> None:
    jobs = [
        replace(task(plus, (photo(n),), prompt, steps=3 + n, scale=scale, seed=n), mask=mask)
        for n, (prompt, scale, mask) in enumerate(
            [
                (PROMPTS[0], 1.0, random_mask(128, 128, seed=0)),
                (PROMPTS[1], 4.0, None),
                (PROMPTS[2], 4.0, from_box(Box(3, 5, 90, 77), 128, 128)),
                (PROMPTS[3], 1.0, None),
            ]
        )
    ]
    for job, together in zip(jobs, run(plus, *jobs), strict=True):
        torch.testing.assert_close(together, run(plus, job)[0], atol=1e-4, rtol=0)


def test_a_full_mask_changes_nothing_of_the_latents(plus: Checkpoint) -> None:
    job = task(plus, (photo(3),))
    everything = replace(job, mask=np.ones((128, 128), dtype=np.bool_))
    assert torch.equal(*(run(plus, each)[0] for each in (job, everything)))
