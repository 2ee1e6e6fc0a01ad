"""One denoising step for several requests, in one forward of the stock transformer or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import pad

from serve_app.engine.state import DenoisingState


@dataclass(frozen=True, eq=False)
class Forward:
    """The rows of one call of the transformer, with what doesn't change between steps.

    ``text_lengths`` (rows,), on the CPU, are the tokens of each row's prompt if they differ.
    """

    rows: tuple[DenoisingState, ...]
    references: torch.Tensor
    embeddings: torch.Tensor
    text_lengths: torch.Tensor | None

    @classmethod
    def of(cls, rows: Sequence[tuple[DenoisingState, torch.Tensor]]) -> Forward:
        """Stack requests, each with the embeddings (1, length, width) of its row."""
        stacked, lengths = _stack_embeddings([embeddings for _, embeddings in rows])
        references = torch.cat([state.references for state, _ in rows])
        return cls(tuple(state for state, _ in rows), references, stacked, lengths)


@dataclass(frozen=True, eq=False)
class Batch:
    """Requests that share a step. All conditional rows come first, then the negative ones."""

    states: tuple[DenoisingState, ...]
    forwards: tuple[Forward, ...]

    @classmethod
    def of(cls, states: Sequence[DenoisingState], stack_guidance: bool = True) -> Batch:
        """Lay out requests of one compatibility key, in one forward or in one for each sign."""
        positive = [(state, state.positive) for state in states]
        negative = [(state, state.negative) for state in states if state.negative is not None]
        parts = [positive + negative] if stack_guidance else [positive, negative]
        return cls(tuple(states), tuple(Forward.of(part) for part in parts if part))


def _stack_embeddings(
    embeddings: Sequence[torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Pad (1, length, width) tensors behind to the longest; their lengths, unless all are equal.

    Padding comes last, so that no real token changes its rotary position.
    """
    lengths = [embedding.shape[1] for embedding in embeddings]
    longest = max(lengths)
    stacked = torch.cat(
        [pad(e, (0, 0, 0, longest - length)) for e, length in zip(embeddings, lengths, strict=True)]
    )
    return stacked, None if min(lengths) == longest else torch.tensor(lengths)


def predict(transformer: Any, batch: Batch) -> list[torch.Tensor]:
    """Predict every request's velocity (1, tokens, channels); ``transformer`` has RowAttention.

    Raises whatever the forward raises; no request has changed then.
    """
    predictions = [row for forward in batch.forwards for row in _predict(transformer, forward)]
    negatives = iter(predictions[len(batch.states) :])
    return [
        positive if state.negative is None else _guide(state, positive, next(negatives))
        for state, positive in zip(batch.states, predictions, strict=False)
    ]


def _predict(transformer: Any, forward: Forward) -> Sequence[torch.Tensor]:
    latents = torch.cat([row.latents for row in forward.rows])
    timesteps = torch.stack([row.timesteps[row.step] for row in forward.rows]).to(latents.dtype)
    predictions: torch.Tensor = transformer(
        hidden_states=torch.cat([latents, forward.references], dim=1),
        timestep=timesteps / 1000,
        encoder_hidden_states=forward.embeddings,
        img_shapes=[list(row.key.img_shapes) for row in forward.rows],
        attention_kwargs={"text_lengths": forward.text_lengths},
        return_dict=False,
    )[0]
    return predictions[:, : latents.shape[1]].split(1)


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
