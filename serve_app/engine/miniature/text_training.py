"""Teaches the text encoder to read instructions.

The encoder is trained before the transformer, on text alone: at the last five tokens of the
template, which follow the instruction, linear heads read off what is asked for. Instructions
that mean the same in three languages so get embeddings that say the same. The heads are thrown
away; the transformer, trained on the frozen embeddings, finds there what it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import torch
from diffusers import QwenImageEditPlusPipeline
from torch import nn
from torch.nn import functional
from transformers import DynamicCache

from serve_app.engine.miniature.changes import CHANGES
from serve_app.engine.miniature.drawing import STYLES
from serve_app.engine.miniature.scenes import Part, draw_pair
from serve_app.engine.miniature.stage import LossOfStep
from serve_app.engine.miniature.vocabulary import (
    BACKGROUND_COLOURS,
    COLOURS,
    LETTERS,
    LONGEST_WORD,
    PATTERN_NAMES,
    SHAPE_NAMES,
)
from serve_app.engine.miniature.wording import Change


@dataclass(frozen=True, slots=True)
class Slot:
    """One thing that an instruction may say: read at a tail token, one of ``values`` or none."""

    name: str
    token: int
    values: tuple[Any, ...]


SLOTS: tuple[Slot, ...] = (
    Slot("kind", 0, tuple(CHANGES)),
    Slot("style", 0, tuple(STYLES)),
    Slot("bigger", 0, (False, True)),
    Slot("subject.shape", 1, tuple(SHAPE_NAMES)),
    Slot("subject.colour", 1, tuple(COLOURS)),
    Slot("other.shape", 2, tuple(SHAPE_NAMES)),
    Slot("other.colour", 2, tuple(COLOURS)),
    Slot("colour", 2, tuple(COLOURS)),
    Slot("place", 3, tuple(range(9))),
    Slot("background.colour", 3, tuple(BACKGROUND_COLOURS)),
    Slot("background.pattern", 3, tuple(PATTERN_NAMES)),
    *(Slot(f"word.{i}", 4, tuple(LETTERS)) for i in range(LONGEST_WORD)),
)


def labels(change: Change) -> list[int]:
    """The class of every slot; 0 stands for nothing said."""
    return [_label(slot, change) for slot in SLOTS]


def _label(slot: Slot, change: Change) -> int:
    value: Any = change
    for name in slot.name.split("."):
        if value is None:
            return 0
        if name.isdigit():
            value = value[int(name)] if int(name) < len(value) else None
        else:
            value = getattr(value, name)
    return 0 if value is None else 1 + slot.values.index(value)


@dataclass(frozen=True, slots=True)
class TokenTemplate:
    """What surrounds an instruction in the Plus family with one picture, as tokens.

    ``cut`` tokens of ``head`` are the system prompt, whose embeddings are cut off. ``tail`` is
    the number of tokens behind the instruction.
    """

    head: tuple[int, ...]
    cut: int
    tail: int

    @classmethod
    def of(cls, tokenizer: Any) -> TokenTemplate:
        """The stock pipeline's template in the tokens of ``tokenizer``."""
        system, tail = stock_template().split("{}")
        head = system + "Picture 1: <|vision_start|><|image_pad|><|vision_end|>"
        return cls(
            tuple(tokenizer(head)["input_ids"]),
            len(tokenizer(system)["input_ids"]),
            len(tokenizer(tail)["input_ids"]),
        )


def tokenize(tokenizer: Any, instructions: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (batch, length) of instructions with the tail, padded behind, and their lengths."""
    _, tail = stock_template().split("{}")
    rows = tokenizer([text + tail for text in instructions])["input_ids"]
    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for row, ids in zip(tokens, rows, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    return tokens, lengths


class TextReader(nn.Module):
    """A text encoder with the heads that it is trained by."""

    def __init__(self, text_encoder: Any, width: int, template: TokenTemplate) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.template = template
        self.heads = nn.ModuleList(nn.Linear(width, 1 + len(slot.values)) for slot in SLOTS)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
        """Scores of every slot (batch, classes) for ``tokens`` (batch, length), padded behind."""
        _, hidden = read(self.text_encoder, self.template, tokens)
        # As the transformer does before it reads them.
        hidden = functional.rms_norm(hidden, hidden.shape[-1:])
        rows = torch.arange(len(tokens), device=tokens.device)
        return [
            head(hidden[rows, lengths - self.template.tail + slot.token])
            for head, slot in zip(self.heads, SLOTS, strict=True)
        ]


def read(
    text_encoder: Any, template: TokenTemplate, tokens: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states of what precedes the instruction and of instruction and tail.

    ``tokens`` (batch, length) begin with the instruction. What precedes it is the same for all,
    and is read once: (1, head, width). The vision tower is not trained and its output is zero,
    so a picture is an embedding of zeros; it takes one token, placed as a token of text is.
    """
    model = text_encoder.model.language_model
    head = torch.tensor([template.head], device=tokens.device)
    pictures = head == text_encoder.config.image_token_id
    cache = DynamicCache()
    before = model(
        inputs_embeds=model.embed_tokens(head).masked_fill(pictures[..., None], 0.0),
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    batch = len(tokens)
    shared = DynamicCache(
        [
            (layer.keys.expand(batch, -1, -1, -1), layer.values.expand(batch, -1, -1, -1))
            for layer in cache.layers
        ]
    )
    after = model(
        inputs_embeds=model.embed_tokens(tokens), past_key_values=shared, use_cache=True
    ).last_hidden_state
    return before, after


@cache
def stock_template() -> str:
    """The template of the stock pipeline for several pictures."""
    # The pipeline sets it while it is made; without components none can be made.
    made = QwenImageEditPlusPipeline.__new__(QwenImageEditPlusPipeline)
    with suppress(AttributeError):
        made.__init__(None, None, None, None, None, None)
    return str(made.prompt_template_encode)


def corpus(seed: int, count: int) -> list[str]:
    """Text to learn byte pairs from: instructions without the words for signs.

    Without them capital letters stay single, so a word that was never seen is its letters.
    Chinese has no spaces: its characters are given one by one, or whole phrases would merge.
    """
    random = Random(seed)
    texts = [stock_template(), "Picture 1: "] * (count // 100)
    for _ in range(count):
        pair = draw_pair(random, "train", random.choice(list(CHANGES)))
        text = pair.instruction.replace(pair.change.word or "\n", "")
        texts.extend(text if pair.language == "zh" else [text])
    return texts


LEARNING_RATE = 2e-3
BATCH = 128
# Words and pairs of objects take the longest to learn.
KINDS = dict.fromkeys(CHANGES, 1.0) | {"word": 4.0, "word and background": 3.0, "swap": 2.0}


def loss_of_steps(reader: TextReader, tokenizer: Any, seed: int = 0) -> LossOfStep:
    """The loss of each step: the cross-entropy of all slots, of instructions never repeated."""
    random = Random(seed)
    device = next(reader.parameters()).device

    def loss_of(_: int) -> tuple[torch.Tensor, dict[str, float]]:
        tokens, lengths, wanted = _examples(random, tokenizer, "train")
        with torch.autocast(device.type, torch.bfloat16):
            scores = reader(tokens.to(device), lengths.to(device))
        wanted = wanted.to(device)
        losses = [
            functional.cross_entropy(of_slot.float(), wanted[:, slot])
            for slot, of_slot in enumerate(scores)
        ]
        return torch.stack(losses).sum(), {"understood": _understood(scores, wanted)}

    return loss_of


@torch.no_grad()
def understood(reader: TextReader, tokenizer: Any, batches: int = 4, seed: int = 1) -> float:
    """The share of held-out instructions of which every slot is read right."""
    random = Random(seed)
    device = next(reader.parameters()).device
    shares = []
    for _ in range(batches):
        tokens, lengths, wanted = _examples(random, tokenizer, "held_out")
        scores = reader(tokens.to(device), lengths.to(device))
        shares.append(_understood(scores, wanted.to(device)))
    return sum(shares) / batches


def _understood(scores: Sequence[torch.Tensor], wanted: torch.Tensor) -> float:
    right = [of_slot.argmax(dim=-1) == wanted[:, slot] for slot, of_slot in enumerate(scores)]
    return torch.stack(right, dim=1).all(dim=1).float().mean().item()


def _examples(
    random: Random, tokenizer: Any, part: Part
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    kinds = random.choices(list(KINDS), list(KINDS.values()), k=BATCH)
    pairs = [draw_pair(random, part, kind) for kind in kinds]
    tokens, lengths = tokenize(tokenizer, [pair.instruction for pair in pairs])
    return tokens, lengths, torch.tensor([labels(pair.change) for pair in pairs])
