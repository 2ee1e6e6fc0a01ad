"""Joint attention of rows whose prompts differ in length, each over its own tokens alone.

The stock processor masks the padding, and no flash kernel takes a mask: on an H200 a masked step
of two rows at 1024x1024 takes 1.3 times that of two equally long ones (the part `lengths` of
`benchmarks/results/gpu.json`). Here the projections, which gain from more rows, are shared, and
the attention, which does not, runs row by row without a mask. What a row's result is doesn't
depend on how far it was padded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.transformers.transformer_qwenimage import (
    QwenDoubleStreamAttnProcessor2_0,
    apply_rotary_emb_qwen,
)

Norm = Callable[[torch.Tensor], torch.Tensor]


class RowAttention(QwenDoubleStreamAttnProcessor2_0):
    """The stock processor, which also takes ``text_lengths`` in ``attention_kwargs``.

    Without them it is the stock one. With them, an int64 tensor (rows,) on the CPU, the tokens of
    each row's text behind its length are padding: they are seen by nobody, and their own results
    are of no use.
    """

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        encoder_hidden_states_mask: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor] | None = None,
        text_lengths: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if text_lengths is None or encoder_hidden_states is None or image_rotary_emb is None:
            stock: tuple[torch.Tensor, torch.Tensor] = super().__call__(
                attn,
                hidden_states,
                encoder_hidden_states,
                encoder_hidden_states_mask,
                attention_mask,
                image_rotary_emb,
            )
            return stock
        head_dim = attn.inner_dim // attn.heads
        image_turns, text_turns = image_rotary_emb
        image_tokens, text_tokens = hidden_states.shape[1], encoder_hidden_states.shape[1]

        def joint(image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            # The image comes first: each row's tokens lie together, its padding behind them.
            return torch.cat([image, text], dim=1)

        def heads(projected: torch.Tensor) -> torch.Tensor:
            return projected.unflatten(-1, (-1, head_dim))

        def turned(projected: torch.Tensor, norm: Norm, turns: torch.Tensor) -> torch.Tensor:
            positioned: torch.Tensor = apply_rotary_emb_qwen(
                norm(heads(projected)), turns, use_real=False
            )
            return positioned

        backend = self._attention_backend
        attend = _opaque if torch.compiler.is_compiling() else attend_by_row
        mixed = attend(
            joint(
                turned(attn.to_q(hidden_states), attn.norm_q, image_turns),
                turned(attn.add_q_proj(encoder_hidden_states), attn.norm_added_q, text_turns),
            ),
            joint(
                turned(attn.to_k(hidden_states), attn.norm_k, image_turns),
                turned(attn.add_k_proj(encoder_hidden_states), attn.norm_added_k, text_turns),
            ),
            joint(heads(attn.to_v(hidden_states)), heads(attn.add_v_proj(encoder_hidden_states))),
            text_lengths,
            image_tokens,
            None if backend is None else backend.value,
        )
        image, text = mixed.flatten(2, 3).split([image_tokens, text_tokens], dim=1)
        return attn.to_out[0](image.contiguous()), attn.to_add_out(text.contiguous())


def attend_by_row(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    text_lengths: torch.Tensor,
    image_tokens: int,
    backend: str | None,
) -> torch.Tensor:
    """Attention of each row over its first ``image_tokens`` + its text's length tokens.

    ``query``, ``key`` and ``value`` are (rows, tokens, heads, width), and so is the result, which
    is 0 behind them. ``backend`` is one of diffusers' names.
    """
    mixed = torch.zeros_like(query)
    for row, text_tokens in enumerate(text_lengths.tolist()):
        tokens = slice(0, image_tokens + text_tokens)
        mixed[row, tokens] = dispatch_attention_fn(
            *(each[row : row + 1, tokens] for each in (query, key, value)), backend=backend
        )[0]
    return mixed


_opaque = torch.library.custom_op(
    "qwen_edit::attend_by_row",
    attend_by_row,
    mutates_args=(),
    schema="(Tensor query, Tensor key, Tensor value, Tensor text_lengths, SymInt image_tokens, "
    "str? backend) -> Tensor",
)
"""The same to the compiler, which would compile the loop again for every number of rows."""

_opaque.register_fake(lambda query, *_: torch.empty_like(query))
