"""Edits to measure: the picture, the tensors, this engine's states for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import calculate_shift
from PIL import Image

from benchmarks.photos import photo
from serve_app.engine.denoise import Batch, advance, predict
from serve_app.engine.state import CanvasTask, CompatibilityKey, DenoisingState, Ticket

PROMPT = "Make it a watercolour, keep the helmet."
NEGATIVE = " "
GUIDANCE = 4.0
SEED = 0


@dataclass(frozen=True)
class Edit:
    """``steps`` denoising steps on a square canvas of ``side`` pixels, with one reference."""

    side: int
    steps: int
    guided: bool = False
    prompt: str = PROMPT
    seed: int = SEED

    @property
    def name(self) -> str:
        guidance = "with guidance" if self.guided else "without guidance"
        return f"{self.side}x{self.side}, {self.steps} steps {guidance}"

    @property
    def forwards(self) -> int:
        """Rows that pass the transformer: two per guided step."""
        return self.steps * (2 if self.guided else 1)

    @property
    def scale(self) -> float:
        return GUIDANCE if self.guided else 1.0

    def task(self) -> CanvasTask:
        """What the engine keeps of a request; the pixels stay outside here."""
        return CanvasTask(
            references=(),
            conditions=(),
            width=self.side,
            height=self.side,
            prompt=self.prompt,
            negative_prompt=NEGATIVE,
            true_cfg_scale=self.scale,
            num_inference_steps=self.steps,
            seed=self.seed,
        )


def picture(side: int) -> Image.Image:
    """The sample photo as a square of ``side`` pixels."""
    return Image.fromarray(photo(0, 512)).resize((side, side), Image.Resampling.LANCZOS)


def start(
    pipeline: Any,
    edit: Edit,
    latents: torch.Tensor,
    references: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor | None,
) -> DenoisingState:
    """Make the engine's state of ``edit`` before its first step, scheduler and all.

    ``latents`` and ``references`` are packed (1, tokens, channels), ``positive`` and
    ``negative`` embeddings (1, length, width).
    """
    scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    config = scheduler.config
    shift = calculate_shift(
        latents.shape[1],
        config.base_image_seq_len,
        config.max_image_seq_len,
        config.base_shift,
        config.max_shift,
    )
    scheduler.set_timesteps(
        sigmas=np.linspace(1.0, 1 / edit.steps, edit.steps), device=latents.device, mu=shift
    )
    scheduler.set_begin_index(0)
    shape = (1, edit.side // 16, edit.side // 16)
    return DenoisingState(
        ticket=Ticket(edit.task(), None),
        key=CompatibilityKey((shape, shape), latents.dtype),
        latents=latents,
        references=references,
        positive=positive,
        negative=negative if edit.guided else None,
        scheduler=scheduler,
        timesteps=scheduler.timesteps,
        preview_steps=(),
    )


def random_state(
    pipeline: Any, edit: Edit, text_lengths: tuple[int, int], seed: int = SEED
) -> DenoisingState:
    """Make a state from noise, for steps alone: no encoder is needed.

    ``text_lengths`` are the tokens of the prompt and of the negative prompt.
    """
    config, parameter = pipeline.transformer.config, next(pipeline.vae.parameters())
    tokens = (edit.side // 16) ** 2
    generator = torch.Generator("cpu").manual_seed(seed)

    def noise(length: int, width: int) -> torch.Tensor:
        return torch.randn(1, length, width, generator=generator).to(parameter)

    return start(
        pipeline,
        edit,
        latents=noise(tokens, config.in_channels),
        references=noise(tokens, config.in_channels),
        positive=noise(text_lengths[0], config.joint_attention_dim),
        negative=noise(text_lengths[1], config.joint_attention_dim),
    )


def random_states(pipeline: Any, edit: Edit, text_lengths: Sequence[int]) -> list[DenoisingState]:
    """Make a state for each prompt length, without guidance; the seeds count from 0."""
    return [
        random_state(pipeline, edit, (length, 1), seed) for seed, length in enumerate(text_lengths)
    ]


class Masked:
    """A transformer whose attention masks padding, as stock does, for comparison."""

    def __init__(self, transformer: Any) -> None:
        self._transformer = transformer

    def __call__(self, *, attention_kwargs: dict[str, Any], **call: Any) -> Any:
        embeddings: torch.Tensor = call["encoder_hidden_states"]
        lengths = attention_kwargs["text_lengths"].to(embeddings.device)
        positions = torch.arange(embeddings.shape[1], device=embeddings.device)
        return self._transformer(encoder_hidden_states_mask=positions < lengths[:, None], **call)


@torch.no_grad()
def denoise(
    transformer: Any, states: Sequence[DenoisingState], *, stack_guidance: bool = True
) -> None:
    """Take all steps of requests that began together, as the engine does: shared forwards.

    A guided request's two rows are stacked, the shorter prompt padded, or pass in two forwards.
    """
    batch = Batch.of(states, stack_guidance)
    while not states[0].done:
        for state, velocity in zip(states, predict(transformer, batch), strict=True):
            advance(state, velocity)
