"""The transformer's joint attention in plain matrix products, for training.

Equal to the stock processor but for rounding. On a CPU torch's fused attention has a slow
backward pass (measured on two cores: 57 % of a compiled training step), and complex numbers, which
the stock rotary positions use, can't be compiled.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class PlainJointAttention:
    """A processor for ``QwenImageTransformer2DModel.set_attn_processor``."""

    def __init__(self, head_dim: int) -> None:
        # (a, b) -> (-b, a) for every pair of channels, as a matrix that multiplies from behind.
        turn = torch.zeros(head_dim, head_dim)
        even = torch.arange(0, head_dim, 2)
        turn[even + 1, even] = -1
        turn[even, even + 1] = 1
        self._turn = turn

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_mask: torch.Tensor | None = None,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor] | None = None,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        batch, text_length, _width = encoder_hidden_states.shape
        heads = attn.heads
        query, key, value = (
            torch.cat([self._split(of_text, heads), self._split(of_image, heads)], dim=1)
            for of_text, of_image in (
                (
                    attn.norm_added_q(self._split(attn.add_q_proj(encoder_hidden_states), heads)),
                    attn.norm_q(self._split(attn.to_q(hidden_states), heads)),
                ),
                (
                    attn.norm_added_k(self._split(attn.add_k_proj(encoder_hidden_states), heads)),
                    attn.norm_k(self._split(attn.to_k(hidden_states), heads)),
                ),
                (
                    attn.add_v_proj(encoder_hidden_states),
                    attn.to_v(hidden_states),
                ),
            )
        )
        if image_rotary_emb is not None:
            cosine, sine = image_rotary_emb
            query = self._rotate(query, cosine, sine)
            key = self._rotate(key, cosine, sine)
        rows = (batch * heads, query.shape[1], query.shape[3])
        query, key, value = (x.transpose(1, 2).reshape(rows) for x in (query, key, value))
        scores = torch.bmm(query * rows[2] ** -0.5, key.transpose(1, 2)).float()
        if encoder_hidden_states_mask is not None:
            unseen = torch.nn.functional.pad(
                ~encoder_hidden_states_mask, (0, hidden_states.shape[1])
            )
            penalty = unseen.to(scores.dtype) * -1e4
            scores = (scores.unflatten(0, (batch, heads)) + penalty[:, None, None]).flatten(0, 1)
        mixed = torch.bmm(scores.softmax(dim=-1).to(value.dtype), value)
        mixed = mixed.unflatten(0, (batch, heads)).transpose(1, 2).flatten(2)
        text, image = mixed[:, :text_length], mixed[:, text_length:]
        return attn.to_out[0](image.contiguous()), attn.to_add_out(text.contiguous())

    @staticmethod
    def _split(x: torch.Tensor, heads: int) -> torch.Tensor:
        return x if x.ndim == 4 else x.unflatten(-1, (heads, -1))

    def _rotate(self, x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        turned = x @ self._turn.to(x.device, x.dtype)
        return x * cosine.to(x.dtype)[:, None] + turned * sine.to(x.dtype)[:, None]


class RealRotary(nn.Module):
    """Cosines and sines of the stock rotary embedding for text and image together.

    Stands in for ``transformer.pos_embed`` while training; each is (tokens, head_dim), text
    first, as the joint attention lays its tokens out.
    """

    def __init__(self, stock: Any) -> None:
        super().__init__()
        self._stock = [stock]  # not a submodule: its tables are no weights

    def forward(
        self, img_shapes: Any, max_txt_seq_len: int, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        image, text = self._stock[0](img_shapes, max_txt_seq_len=max_txt_seq_len, device=device)
        angles = torch.cat([text, image])
        return (
            angles.real.repeat_interleave(2, dim=-1),
            angles.imag.repeat_interleave(2, dim=-1),
        )
