"""One denoising step for several requests in one forward of the stock transformer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import pad

from serve_app.engine.state import DenoisingState


@dataclass(frozen=True, eq=False)
class Batch:
    """Requests that share a forward, with what doesn't change while they stay together.

    Rows are all conditional ones first, then the negative ones of guided requests, so row
    ``i`` is request ``i`` for ``i < len(states)``.
    """

    states: tuple[DenoisingState, ...]
    rows: tuple[DenoisingState, ...]
    references: torch.Tensor
    embeddings: torch.Tensor
    mask: torch.Tensor | None

    @classmethod
    def of(cls, states: Sequence[DenoisingState]) -> Batch:
        """Stack requests of one compatibility key."""
        guided = [state for state in states if state.negative is not None]
        embeddings = [state.positive for state in states]
        embeddings += [state.negative for state in guided if state.negative is not None]
        rows = (*states, *guided)
        stacked, mask = _stack_embeddings(embeddings)
        references = torch.cat([row.references for row in rows])
        return cls(tuple(states), rows, references, stacked, mask)


def _stack_embeddings(
    embeddings: Sequence[torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Pad (1, length, width) tensors behind to the longest; no mask if all are equal.

    Padding comes last, so that no real token changes its rotary position.
    """
    lengths = [embedding.shape[1] for embedding in embeddings]
    longest = max(lengths)
    stacked = torch.cat(
        [pad(e, (0, 0, 0, longest - length)) for e, length in zip(embeddings, lengths, strict=True)]
    )
    if min(lengths) == longest:
        return stacked, None
    positions = torch.arange(longest, device=stacked.device)
    return stacked, positions < torch.tensor(lengths, device=stacked.device)[:, None]


def predict(transformer: Any, batch: Batch) -> list[torch.Tensor]:
    """Predict every request's velocity (1, tokens, channels) in one forward.

    Raises whatever the forward raises; no request has changed then.
    """
    latents = torch.cat([row.latents for row in batch.rows])
    timesteps = torch.stack([row.timesteps[row.step] for row in batch.rows]).to(latents.dtype)
    predictions = transformer(
        hidden_states=torch.cat([latents, batch.references], dim=1),
        timestep=timesteps / 1000,
        encoder_hidden_states=batch.embeddings,
        encoder_hidden_states_mask=batch.mask,
        img_shapes=[list(row.key.img_shapes) for row in batch.rows],
        return_dict=False,
    )[0][:, : latents.shape[1]].split(1)
    negatives = iter(predictions[len(batch.states) :])
    return [
        positive if state.negative is None else _guide(state, positive, next(negatives))
        for state, positive in zip(batch.states, predictions, strict=False)
    ]


def _guide(state: DenoisingState, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Classifier-free guidance, rescaled per token to the conditional norm (Qwen-Image)."""
    scale = state.ticket.task.true_cfg_scale
    combined = negative + scale * (positive - negative)
    norm = torch.norm(positive, dim=-1, keepdim=True)
    return combined * (norm / torch.norm(combined, dim=-1, keepdim=True))


def advance(state: DenoisingState, velocity: torch.Tensor) -> None:
    """Take one scheduler step with this request's own scheduler; the kept region stays."""
    timestep = state.timesteps[state.step]
    state.latents = state.scheduler.step(velocity, timestep, state.latents, return_dict=False)[0]
    state.velocity = velocity
    state.step += 1
    if state.kept is not None:
        state.latents = state.kept.hold(state.latents, state.scheduler.sigmas[state.step])
