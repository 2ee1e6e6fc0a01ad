"""Prompts to embeddings: what precedes the instruction is read once for all prompts beside it.

The text encoder sees the system prompt, then the pictures, then the instruction. It is
causal: what it makes of the pictures doesn't depend on the instruction. So keys and values of
that prefix, most of the tokens, are computed once, and the positive prompt, the negative one
and every variant of them only add their own few tokens. Each prompt takes this way, whether
the prefix was just made or remembered, so a result doesn't depend on which it was. Against
the stock pipelines' one pass the embeddings differ by rounding alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from transformers import DynamicCache

from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasTask

_PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
_NUMBERED = "Picture {}: " + _PICTURE
"""How the Plus family shows its pictures; the first model's template has its one already."""


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """The pictures as the text encoder has read them: (1, tokens, width) and keys and values."""

    embeddings: torch.Tensor
    keys_and_values: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        pairs = sum(keys.nbytes + values.nbytes for keys, values in self.keys_and_values)
        return self.embeddings.nbytes + pairs


class PromptEncoder:
    """Runs the text encoder of one checkpoint; use it from one thread."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def prefix(self, task: CanvasTask) -> Prefix:
        """Read the pictures of a task, with everything before the instruction."""
        pipeline = self._checkpoint.pipeline
        head, _ = self._around(len(task.conditions))
        pictures = [Image.fromarray(condition) for condition in task.conditions]
        inputs = pipeline.processor(text=[head], images=pictures, return_tensors="pt")
        inputs = inputs.to(pipeline._execution_device)
        cache = DynamicCache()
        hidden = self._read(
            inputs["input_ids"],
            cache,
            pixel_values=inputs["pixel_values"],
            image_grid_thw=inputs["image_grid_thw"],
        )
        shown = hidden[:, pipeline.prompt_template_encode_start_idx :]
        return Prefix(shown, tuple((layer.keys, layer.values) for layer in cache.layers))

    def embed(self, prompt: str, prefix: Prefix) -> torch.Tensor:
        """Embeddings (1, length, width) of a prompt with the pictures before it."""
        pipeline = self._checkpoint.pipeline
        _, tail = self._around(1)
        tokens = pipeline.tokenizer([prompt + tail], return_tensors="pt")["input_ids"]
        # A cache of its own, since it grows: the prefix stays as it is, whatever happens.
        cache = DynamicCache(prefix.keys_and_values)
        hidden = self._read(tokens.to(pipeline._execution_device), cache)
        return torch.cat([prefix.embeddings, hidden], dim=1).to(self._checkpoint.dtype)

    def _around(self, pictures: int) -> tuple[str, str]:
        """The template's text before the instruction, and after it."""
        head, tail = self._checkpoint.pipeline.prompt_template_encode.split("{}")
        if self._checkpoint.plus:
            head += "".join(_NUMBERED.format(number + 1) for number in range(pictures))
        return head, tail

    def _read(self, tokens: torch.Tensor, cache: Any, **pictures: torch.Tensor) -> torch.Tensor:
        """Hidden states of ``tokens`` (1, length), which go on from what ``cache`` holds."""
        length = cache.get_seq_length() + tokens.shape[1]
        outputs = self._checkpoint.pipeline.text_encoder(
            input_ids=tokens,
            attention_mask=tokens.new_ones(1, length),
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=True,
            logits_to_keep=1,  # of no use here, and wide
            **pictures,
        )
        hidden: torch.Tensor = outputs.hidden_states[-1]
        return hidden
