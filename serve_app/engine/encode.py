"""From a task to the tensors it is denoised with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import calculate_shift
from diffusers.utils.torch_utils import randn_tensor

from serve_app.engine.encoders import Encoders
from serve_app.engine.kept_region import KeptRegion
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasTask, CompatibilityKey, DenoisingState, Ticket


def encode(encoders: Encoders, ticket: Ticket) -> DenoisingState:
    """Run the encoders for one request and lay out its noise.

    Each request is encoded alone, as the stock pipeline does, so that its embeddings do not
    depend on who else has just arrived.
    """
    checkpoint, task = encoders.checkpoint, ticket.task
    positive, negative = encoders.prompts(task)
    references = encoders.references(task)
    noise = _noise(checkpoint, task)
    scheduler, timesteps = _schedule(checkpoint, task, noise.shape[1])
    return DenoisingState(
        ticket=ticket,
        key=compatibility_key(checkpoint, task),
        latents=noise,
        references=references,
        positive=positive,
        negative=negative,
        scheduler=scheduler,
        timesteps=timesteps,
        preview_steps=preview_steps(task.num_inference_steps, task.partial_images),
        kept=_kept_region(checkpoint, task, noise, references),
    )


def compatibility_key(checkpoint: Checkpoint, task: CanvasTask) -> CompatibilityKey:
    """What a task shares a forward by; known before anything is encoded."""
    packed = 2 * int(checkpoint.pipeline.vae_scale_factor)
    sizes = [(task.height, task.width), *(image.shape[:2] for image in task.references)]
    shapes = tuple((1, height // packed, width // packed) for height, width in sizes)
    return CompatibilityKey(shapes, checkpoint.dtype, task.lora, task.few_step)


def prompt_length(checkpoint: Checkpoint, task: CanvasTask) -> int:
    """Count the tokens of the longer prompt with its images, before anything is encoded."""
    longest = max(
        len(checkpoint.pipeline.tokenizer(prompt)["input_ids"])
        for prompt in (task.prompt, task.negative_prompt)
    )
    # One token for 28x28 pixels; "Picture 1: " and the vision marks take up to 16 more.
    images = sum(image.shape[0] * image.shape[1] // 28**2 + 32 for image in task.conditions)
    return longest + images


def has_reserved_token(checkpoint: Checkpoint, prompt: str) -> bool:
    """Whether a prompt spells out a special token, which the processor would take for one.

    ``<|image_pad|>`` in a prompt asks the encoder for an image that is not there.
    """
    tokens = checkpoint.pipeline.tokenizer.added_tokens_decoder.values()
    return any(token.special and token.content in prompt for token in tokens)


def preview_steps(steps: int, previews: int) -> tuple[int, ...]:
    """Spread ``previews`` evenly over ``steps``, never on the last; fewer if steps are few."""
    return tuple(
        sorted({round(steps * (i + 1) / (previews + 1)) for i in range(previews)} - {0, steps})
    )


def _noise(checkpoint: Checkpoint, task: CanvasTask) -> torch.Tensor:
    """What the edit starts from: (1, tokens, channels), as the stock pipelines draw and pack it.

    The generator is the CPU's: a seed gives the same noise on every device.
    """
    pipeline = checkpoint.pipeline
    channels = int(pipeline.transformer.config.in_channels) // 4
    cells = task.height // pipeline.vae_scale_factor, task.width // pipeline.vae_scale_factor
    noise = randn_tensor(
        (1, 1, channels, *cells),
        generator=torch.Generator("cpu").manual_seed(task.seed),
        device=pipeline._execution_device,
        dtype=checkpoint.dtype,
    )
    return pipeline._pack_latents(noise, 1, channels, *cells)


def _kept_region(
    checkpoint: Checkpoint, task: CanvasTask, noise: torch.Tensor, references: torch.Tensor
) -> KeptRegion | None:
    if task.mask is None:
        return None
    # The first reference comes first, and has the output's canvas.
    original = references[:, : noise.shape[1]]
    return KeptRegion.of(checkpoint.pipeline, task.mask, original, noise)


def _schedule(checkpoint: Checkpoint, task: CanvasTask, tokens: int) -> tuple[Any, torch.Tensor]:
    steps = task.num_inference_steps
    template = checkpoint.draft_scheduler if task.few_step else checkpoint.pipeline.scheduler
    # Stretching a schedule of one step to its terminal sigma is 0/0 in the stock scheduler.
    undefined = {"shift_terminal": None} if steps == 1 else {}
    scheduler = type(template).from_config(template.config, **undefined)
    shift = calculate_shift(
        tokens,
        scheduler.config.get("base_image_seq_len", 256),
        scheduler.config.get("max_image_seq_len", 4096),
        scheduler.config.get("base_shift", 0.5),
        scheduler.config.get("max_shift", 1.15),
    )
    scheduler.set_timesteps(
        sigmas=np.linspace(1.0, 1 / steps, steps),
        device=checkpoint.pipeline._execution_device,
        mu=shift,
    )
    scheduler.set_begin_index(0)
    return scheduler, scheduler.timesteps
