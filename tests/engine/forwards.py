"""One forward of a transformer, without an engine around it."""

from __future__ import annotations

from typing import Any

import torch


@torch.no_grad()
def forward(
    transformer: Any, side: int, latents: torch.Tensor, texts: torch.Tensor, **how: Any
) -> torch.Tensor:
    """Velocities of canvases of ``side`` tokens square, with one reference of that size each.

    ``latents`` (rows, tokens, channels) hold the canvas and its reference, ``texts`` are (rows,
    length, width). Every row has a timestep of its own.
    """
    rows = len(latents)
    velocities: torch.Tensor = transformer(
        hidden_states=latents,
        timestep=torch.linspace(0.2, 0.9, rows),
        encoder_hidden_states=texts,
        img_shapes=[[(1, side, side), (1, side, side)]] * rows,
        return_dict=False,
        **how,
    )[0]
    return velocities
